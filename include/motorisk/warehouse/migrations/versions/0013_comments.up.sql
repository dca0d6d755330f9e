-- What each table is for, as tables.py says, and what each column means, with its unit; null is explained where it may be.
-- Of partitioned tables the parent says it.
COMMENT ON TABLE insurance.policy IS
    'What the insurer''s policy system knows of each policy; the platform only reads it';
COMMENT ON COLUMN insurance.policy.policy_id IS
    'the insurer''s number of the policy; `erased-` and a random number after its customer was erased';
COMMENT ON COLUMN insurance.policy.customer_id IS 'the insurer''s number of the customer; null: not told, or erased';
COMMENT ON COLUMN insurance.policy.effective_date IS 'first day of cover';
COMMENT ON COLUMN insurance.policy.expiry_date IS 'day on which the cover has ended';
COMMENT ON COLUMN insurance.policy.training IS 'whether the driver took a driver safety training';
COMMENT ON COLUMN insurance.policy.age IS 'the driver''s age, years';
COMMENT ON COLUMN insurance.policy.emergency_braking IS 'whether the vehicle brakes by itself in danger';
COMMENT ON COLUMN insurance.policy.braking_distance IS 'what the vehicle needs to stand still from 100 km/h, metres';
COMMENT ON COLUMN insurance.policy.power IS 'engine power, kW';
COMMENT ON COLUMN insurance.policy.miles IS 'distance driven, thousand miles a year';

COMMENT ON TABLE insurance.outcome IS 'The risk index that came true, and the day from which on it was known';
COMMENT ON COLUMN insurance.outcome.policy_id IS 'the policy whose outcome it is';
COMMENT ON COLUMN insurance.outcome.risk IS 'observed risk index; higher is riskier, it may be negative';
COMMENT ON COLUMN insurance.outcome.observed_on IS
    'day from which on it is known: nothing as of an earlier date sees it';

COMMENT ON TABLE motorisk.model_version IS
    'Every model that was ever trained: its rating plan, figures, gates and state';
COMMENT ON COLUMN motorisk.model_version.version IS 'number of the version, counted up by training';
COMMENT ON COLUMN motorisk.model_version.state IS 'candidate, validated, approved (the champion), retired or rejected';
COMMENT ON COLUMN motorisk.model_version.candidate IS
    'which of the competing candidates it is, as in the training configuration';
COMMENT ON COLUMN motorisk.model_version.as_of IS 'date up to which it knows policies and outcomes';
COMMENT ON COLUMN motorisk.model_version.digest IS 'SHA-256 of the rating plan';
COMMENT ON COLUMN motorisk.model_version.plan IS 'the rating plan, canonical JSON';
COMMENT ON COLUMN motorisk.model_version.snapshot_digest IS 'SHA-256 of the snapshot that it was trained on';
COMMENT ON COLUMN motorisk.model_version.rows IS 'policies of that snapshot';
COMMENT ON COLUMN motorisk.model_version.metrics IS
    'figures on policies that it had not seen, by name: accuracy, log loss, RMSE of the risk index';
COMMENT ON COLUMN motorisk.model_version.gates IS
    'of each gate: name, value, rule, threshold and whether the version passed';
COMMENT ON COLUMN motorisk.model_version.backtest IS
    'the candidates and yardsticks that competed, each with its figures on unseen months';
COMMENT ON COLUMN motorisk.model_version.evaluation IS
    'what the model card tells beside: segments, calibration, search of the settings, price impact';
COMMENT ON COLUMN motorisk.model_version.parameters IS 'the training configuration that it was made with';
COMMENT ON COLUMN motorisk.model_version.provenance IS 'why it was trained, and with which code, image and libraries';
COMMENT ON COLUMN motorisk.model_version.trained_by IS 'who trained it, and so may not approve it';
COMMENT ON COLUMN motorisk.model_version.trained_at IS 'when it was registered';
COMMENT ON COLUMN motorisk.model_version.approved_by IS 'who approved it; null: nobody has';
COMMENT ON COLUMN motorisk.model_version.approved_at IS 'when it was approved; null: never';

COMMENT ON TABLE motorisk.model_event IS 'The audit trail: who did what to which version, and why; it only grows';
COMMENT ON COLUMN motorisk.model_event.model_event_id IS 'number of the event, counted up';
COMMENT ON COLUMN motorisk.model_event.version IS 'the version that it happened to';
COMMENT ON COLUMN motorisk.model_event.event IS
    'registered, validated, rejected, approved, retired, rolled back, reinstated, shadow started or shadow stopped';
COMMENT ON COLUMN motorisk.model_event.actor IS 'who did it: a person, or the gates';
COMMENT ON COLUMN motorisk.model_event.comment IS 'why; null: nothing was said';
COMMENT ON COLUMN motorisk.model_event.details IS
    'what else belongs to it, such as the digest of an approved rating plan or the gates missed';
COMMENT ON COLUMN motorisk.model_event.happened_at IS 'when it was recorded';
COMMENT ON COLUMN motorisk.model_event.position IS 'its place in the chain of digests, from 1';
COMMENT ON COLUMN motorisk.model_event.digest IS 'SHA-256 over the digest of the event before and this event';

COMMENT ON TABLE motorisk.tariff IS 'What a year costs by risk class, from which day on';
COMMENT ON COLUMN motorisk.tariff.name IS 'the tariff''s name';
COMMENT ON COLUMN motorisk.tariff.valid_from IS 'first day on which it is in force, until the next one is';
COMMENT ON COLUMN motorisk.tariff.base_premium IS 'net premium a year at a class factor of 1, in the currency';
COMMENT ON COLUMN motorisk.tariff.factor_low IS 'factor of the class low on the base premium';
COMMENT ON COLUMN motorisk.tariff.factor_medium IS 'factor of the class medium on the base premium';
COMMENT ON COLUMN motorisk.tariff.factor_high IS 'factor of the class high on the base premium';
COMMENT ON COLUMN motorisk.tariff.tax_rate IS 'insurance tax, as a share of the net premium';
COMMENT ON COLUMN motorisk.tariff.currency IS 'currency of its premiums, such as EUR';

COMMENT ON TABLE motorisk.score IS 'Each policy in force on a date with its class and premium; a partition a date';
COMMENT ON COLUMN motorisk.score.as_of IS 'date as of which the policy is in force and was scored';
COMMENT ON COLUMN motorisk.score.policy_id IS 'the policy scored';
COMMENT ON COLUMN motorisk.score.version IS 'the version that scored it';
COMMENT ON COLUMN motorisk.score.tariff IS 'name of the tariff that priced it';
COMMENT ON COLUMN motorisk.score.predictor IS 'what answered: model, or rules outside the training support';
COMMENT ON COLUMN motorisk.score.risk_class IS 'the most likely class: low, medium or high';
COMMENT ON COLUMN motorisk.score.expected_risk IS 'risk index that the version expects; null: the rules answered';
COMMENT ON COLUMN motorisk.score.p_low IS 'probability of the class low, hundred-millionths';
COMMENT ON COLUMN motorisk.score.p_medium IS 'probability of the class medium, hundred-millionths';
COMMENT ON COLUMN motorisk.score.p_high IS 'probability of the class high, hundred-millionths';
COMMENT ON COLUMN motorisk.score.net IS 'net premium a year, in the tariff''s currency';
COMMENT ON COLUMN motorisk.score.insurance_tax IS 'insurance tax a year on the net premium, in the tariff''s currency';
COMMENT ON COLUMN motorisk.score.gross IS
    'gross premium a year: net premium and insurance tax, in the tariff''s currency';
COMMENT ON COLUMN motorisk.score.net_before IS
    'net premium a year in the scores of a year before, of the same policy or the one renewed; null: none';
COMMENT ON COLUMN motorisk.score.class_before IS 'risk class in the scores of a year before; null: none';
COMMENT ON COLUMN motorisk.score.capped IS
    'whether net is what the cap on changes at renewal allows, and not what the tariff gives';

COMMENT ON TABLE motorisk.score_run IS 'The published scoring of each date, in figures';
COMMENT ON COLUMN motorisk.score_run.as_of IS 'date as of which the portfolio was scored';
COMMENT ON COLUMN motorisk.score_run.version IS 'the version that scored it';
COMMENT ON COLUMN motorisk.score_run.tariff IS 'name of the tariff that priced it';
COMMENT ON COLUMN motorisk.score_run.rows IS 'policies scored';
COMMENT ON COLUMN motorisk.score_run.by_predictor IS 'policies scored, those by the model and those by the rules';
COMMENT ON COLUMN motorisk.score_run.by_class IS 'policies scored, by risk class';
COMMENT ON COLUMN motorisk.score_run.net_total IS 'sum of the net premiums a year, in the tariff''s currency';
COMMENT ON COLUMN motorisk.score_run.seconds IS 'time from the plan to publishing, seconds';
COMMENT ON COLUMN motorisk.score_run.published_at IS 'when these scores took the place of earlier ones';
COMMENT ON COLUMN motorisk.score_run.run_id IS 'number of the run; 0: published before runs had numbers';
COMMENT ON COLUMN motorisk.score_run.quarantined IS 'policies in force that could not be priced';
COMMENT ON COLUMN motorisk.score_run.partitions IS 'ranges of policies in which the portfolio was scored';
COMMENT ON COLUMN motorisk.score_run.renewals IS 'policies scored that have a premium of a year before';
COMMENT ON COLUMN motorisk.score_run.capped IS 'renewals whose premium the cap decides';
COMMENT ON COLUMN motorisk.score_run.class_changed IS 'renewals in another risk class than a year before';
COMMENT ON COLUMN motorisk.score_run.renewal_cap IS
    'largest change of a net premium at renewal, as a share; null: no cap';
COMMENT ON COLUMN motorisk.score_run.before IS 'as-of date of the scores of a year before; null: none to compare with';
COMMENT ON COLUMN motorisk.score_run.archive IS
    'file in the archive that holds the scores now; null: they are in the database';
COMMENT ON COLUMN motorisk.score_run.archived_at IS 'when the scores left the database; null: they are there';

COMMENT ON TABLE motorisk.score_plan IS
    'A date''s scoring that is under way, and what it works with, so that it can be taken up again';
COMMENT ON COLUMN motorisk.score_plan.as_of IS 'date as of which the portfolio is being scored';
COMMENT ON COLUMN motorisk.score_plan.run_id IS
    'number of the run, also in the name of the table that gathers its scores';
COMMENT ON COLUMN motorisk.score_plan.version IS 'the version that scores';
COMMENT ON COLUMN motorisk.score_plan.tariff IS 'name of the tariff that prices';
COMMENT ON COLUMN motorisk.score_plan.prices IS
    'the tariff''s figures when the plan was made, as one text: a run never mixes two';
COMMENT ON COLUMN motorisk.score_plan.planned_at IS 'when the run began';
COMMENT ON COLUMN motorisk.score_plan.renewal_cap IS
    'largest change of a net premium at renewal, as a share; null: no cap';
COMMENT ON COLUMN motorisk.score_plan.before IS 'as-of date of the scores of a year before; null: none to compare with';
COMMENT ON COLUMN motorisk.score_plan.before_run IS
    'run that published the scores of a year before; null: none to compare with';

COMMENT ON TABLE motorisk.score_part IS 'The ranges of policies of a scoring, and what is done of them';
COMMENT ON COLUMN motorisk.score_part.run_id IS 'the run that the range belongs to';
COMMENT ON COLUMN motorisk.score_part.part IS 'number of the range within the run, from 1';
COMMENT ON COLUMN motorisk.score_part.low IS 'policies from this policy_id on; null: from the first';
COMMENT ON COLUMN motorisk.score_part.high IS 'policies before this policy_id; null: to the last';
COMMENT ON COLUMN motorisk.score_part.estimated_rows IS 'policies of the range, as a sample says';
COMMENT ON COLUMN motorisk.score_part.rows IS 'policies scored; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.quarantined IS 'policies that could not be priced; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.by_predictor IS
    'policies scored, those by the model and those by the rules; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.by_class IS 'policies scored, by risk class; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.net_cents IS 'sum of the net premiums, cents a year; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.gross_cents IS 'sum of the gross premiums, cents a year; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.p_low IS
    'sum of the probabilities of the class low, hundred-millionths; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.p_high IS
    'sum of the probabilities of the class high, hundred-millionths; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.seconds IS 'time that scoring the range took, seconds; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.finished_at IS 'when its scores were written; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.renewals IS
    'policies scored that have a premium of a year before; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.capped IS 'renewals whose premium the cap decides; null: not done yet';
COMMENT ON COLUMN motorisk.score_part.class_changed IS
    'renewals in another risk class than a year before; null: not done yet';

COMMENT ON TABLE motorisk.score_quarantine IS 'Policies in force that could not be scored, and why';
COMMENT ON COLUMN motorisk.score_quarantine.as_of IS 'date as of which the policy is in force';
COMMENT ON COLUMN motorisk.score_quarantine.run_id IS 'the run that could not price it';
COMMENT ON COLUMN motorisk.score_quarantine.policy_id IS 'the policy left out';
COMMENT ON COLUMN motorisk.score_quarantine.reasons IS 'what is wrong with it, a text a feature';

COMMENT ON TABLE motorisk.quote IS
    'The ledger: every quote, stored before it is answered; it only grows, a partition a month';
COMMENT ON COLUMN motorisk.quote.quoted_at IS 'when it was priced; of a mere input: when it was recorded';
COMMENT ON COLUMN motorisk.quote.quote_id IS 'the quote''s number, random';
COMMENT ON COLUMN motorisk.quote.channel IS
    'quote, page (people), predict (the workshop''s API), or mock (an input kept for drift monitoring, unpriced)';
COMMENT ON COLUMN motorisk.quote.reference IS
    'what the sales channel calls it; null: nothing was given, or it was erased';
COMMENT ON COLUMN motorisk.quote.effective_date IS 'first day of the cover asked for';
COMMENT ON COLUMN motorisk.quote.training IS 'whether the driver took a driver safety training';
COMMENT ON COLUMN motorisk.quote.age IS 'the driver''s age, years';
COMMENT ON COLUMN motorisk.quote.emergency_braking IS 'whether the vehicle brakes by itself in danger';
COMMENT ON COLUMN motorisk.quote.braking_distance IS 'what the vehicle needs to stand still from 100 km/h, metres';
COMMENT ON COLUMN motorisk.quote.power IS 'engine power, kW';
COMMENT ON COLUMN motorisk.quote.miles IS 'distance driven, thousand miles a year';
COMMENT ON COLUMN motorisk.quote.version IS 'the version that priced it; null: a mere input';
COMMENT ON COLUMN motorisk.quote.digest IS 'SHA-256 of that version''s rating plan; null: a mere input';
COMMENT ON COLUMN motorisk.quote.tariff IS 'name of the tariff that priced it; null: a mere input';
COMMENT ON COLUMN motorisk.quote.predictor IS
    'what answered: model, or rules outside the training support; null: a mere input';
COMMENT ON COLUMN motorisk.quote.risk_class IS 'the most likely class: low, medium or high; null: a mere input';
COMMENT ON COLUMN motorisk.quote.expected_risk IS
    'risk index that the version expects; null: the rules answered, or a mere input';
COMMENT ON COLUMN motorisk.quote.p_low IS 'probability of the class low, hundred-millionths; null: a mere input';
COMMENT ON COLUMN motorisk.quote.p_medium IS 'probability of the class medium, hundred-millionths; null: a mere input';
COMMENT ON COLUMN motorisk.quote.p_high IS 'probability of the class high, hundred-millionths; null: a mere input';
COMMENT ON COLUMN motorisk.quote.net IS 'net premium a year, in the tariff''s currency; null: a mere input';
COMMENT ON COLUMN motorisk.quote.insurance_tax IS
    'insurance tax a year on the net premium, in the tariff''s currency; null: a mere input';
COMMENT ON COLUMN motorisk.quote.gross IS
    'gross premium a year: net premium and insurance tax, in the tariff''s currency; null: a mere input';
COMMENT ON COLUMN motorisk.quote.client IS 'client of the API key that asked; null: none was needed';

COMMENT ON TABLE motorisk.quote_key IS 'Which quote answered a client''s Idempotency-Key';
COMMENT ON COLUMN motorisk.quote_key.client IS 'client that used the key; `anybody`: without an API key';
COMMENT ON COLUMN motorisk.quote_key.key IS 'the Idempotency-Key of the request';
COMMENT ON COLUMN motorisk.quote_key.fingerprint IS
    'SHA-256 of what was asked: the same key with another question is refused';
COMMENT ON COLUMN motorisk.quote_key.quote_id IS 'the quote that answered';
COMMENT ON COLUMN motorisk.quote_key.quoted_at IS 'when that quote was priced; keys are forgotten a week later';

COMMENT ON TABLE motorisk.quote_seal IS
    'Seals over the ledger, an hour of quotes each, chained: what was changed, removed or inserted since shows';
COMMENT ON COLUMN motorisk.quote_seal.seal_id IS 'number of the seal in the chain, from 1';
COMMENT ON COLUMN motorisk.quote_seal.hour IS 'beginning of the hour (UTC) in which its quotes were made';
COMMENT ON COLUMN motorisk.quote_seal.rows IS 'quotes that it seals';
COMMENT ON COLUMN motorisk.quote_seal.late IS
    'of these, made over 15 minutes before the sealing before: out of a journal, or put in by somebody';
COMMENT ON COLUMN motorisk.quote_seal.quote_ids IS 'the quotes'' numbers in the order of time, 16 bytes each';
COMMENT ON COLUMN motorisk.quote_seal.row_digests IS
    'the beginning of each quote''s SHA-256 in the same order, 16 bytes each';
COMMENT ON COLUMN motorisk.quote_seal.salts IS
    'what each reference''s digest is salted with, 16 bytes each, zeros: none or erased; null: no quote has one';
COMMENT ON COLUMN motorisk.quote_seal.events IS 'how far the audit trail went: position of its last event';
COMMENT ON COLUMN motorisk.quote_seal.event_digest IS 'digest of that event';
COMMENT ON COLUMN motorisk.quote_seal.sealed_at IS 'when it was written';
COMMENT ON COLUMN motorisk.quote_seal.digest IS
    'SHA-256 over the digest of the seal before and this seal but for its salts';

COMMENT ON TABLE motorisk.erasure IS 'Customers who were erased on request: by whom, when and how much, not who';
COMMENT ON COLUMN motorisk.erasure.erasure_id IS 'number of the erasure, counted up';
COMMENT ON COLUMN motorisk.erasure.erased_by IS 'who had the customer erased';
COMMENT ON COLUMN motorisk.erasure.erased_at IS 'when it was done';
COMMENT ON COLUMN motorisk.erasure.comment IS 'why; null: nothing was said';
COMMENT ON COLUMN motorisk.erasure.subject IS 'pseudonym of the customer; null: there was no key of pseudonyms';
COMMENT ON COLUMN motorisk.erasure.erased IS 'rows of each kind that lost what led to the person';

COMMENT ON TABLE motorisk.erased_reference IS
    'Quotes whose reference an erasure took, and what stands in its place in the seals';
COMMENT ON COLUMN motorisk.erased_reference.quoted_at IS 'when the quote was priced';
COMMENT ON COLUMN motorisk.erased_reference.quote_id IS 'the quote that lost its reference';
COMMENT ON COLUMN motorisk.erased_reference.erasure_id IS 'the erasure that took it';
COMMENT ON COLUMN motorisk.erased_reference.commitment IS
    'salted SHA-256 of the reference, as its seal was computed with';

COMMENT ON TABLE motorisk.api_key IS 'Keys of the quote service''s clients, by their SHA-256 alone';
COMMENT ON COLUMN motorisk.api_key.key_id IS 'public part of the key, by which it is found';
COMMENT ON COLUMN motorisk.api_key.client IS 'whose key it is; a client may have several';
COMMENT ON COLUMN motorisk.api_key.digest IS 'SHA-256 of the key';
COMMENT ON COLUMN motorisk.api_key.rate IS
    'requests a second; null: as many as the service allows everybody; 0: any number';
COMMENT ON COLUMN motorisk.api_key.created_by IS 'who handed it out';
COMMENT ON COLUMN motorisk.api_key.created_at IS 'when it was handed out';
COMMENT ON COLUMN motorisk.api_key.expires_on IS 'last day (UTC) on which it is good; null: it does not expire';
COMMENT ON COLUMN motorisk.api_key.revoked_by IS 'who revoked it; null: nobody has';
COMMENT ON COLUMN motorisk.api_key.revoked_at IS 'when it was revoked; null: never';
COMMENT ON COLUMN motorisk.api_key.last_used_on IS 'last day on which it let a request in; null: never used';

COMMENT ON TABLE motorisk.shadow IS 'Challengers that price every quote again beside the champion';
COMMENT ON COLUMN motorisk.shadow.version IS 'the challenger';
COMMENT ON COLUMN motorisk.shadow.since IS 'quotes made from then on are priced';
COMMENT ON COLUMN motorisk.shadow.looked_to IS 'quotes made before have been looked for at least once';
COMMENT ON COLUMN motorisk.shadow.started_by IS 'who started it';
COMMENT ON COLUMN motorisk.shadow.started_at IS 'when it was started last';
COMMENT ON COLUMN motorisk.shadow.stopped_at IS 'when it ended; null: it runs';

COMMENT ON TABLE motorisk.shadow_quote IS 'What a challenger would have answered to a quote';
COMMENT ON COLUMN motorisk.shadow_quote.version IS 'the challenger that priced it';
COMMENT ON COLUMN motorisk.shadow_quote.quoted_at IS 'when the quote of the ledger was priced';
COMMENT ON COLUMN motorisk.shadow_quote.quote_id IS 'the quote of the ledger that it prices again';
COMMENT ON COLUMN motorisk.shadow_quote.predictor IS 'what answered: model, or rules outside the training support';
COMMENT ON COLUMN motorisk.shadow_quote.risk_class IS 'the most likely class: low, medium or high';
COMMENT ON COLUMN motorisk.shadow_quote.expected_risk IS
    'risk index that the version expects; null: the rules answered';
COMMENT ON COLUMN motorisk.shadow_quote.p_low IS 'probability of the class low, hundred-millionths';
COMMENT ON COLUMN motorisk.shadow_quote.p_medium IS 'probability of the class medium, hundred-millionths';
COMMENT ON COLUMN motorisk.shadow_quote.p_high IS 'probability of the class high, hundred-millionths';
COMMENT ON COLUMN motorisk.shadow_quote.net IS 'net premium a year, in the tariff''s currency';
COMMENT ON COLUMN motorisk.shadow_quote.insurance_tax IS
    'insurance tax a year on the net premium, in the tariff''s currency';
COMMENT ON COLUMN motorisk.shadow_quote.gross IS
    'gross premium a year: net premium and insurance tax, in the tariff''s currency';

COMMENT ON TABLE motorisk.drift_run IS
    'What was measured against the champion''s reference on a date: policies, quotes and scores';
COMMENT ON COLUMN motorisk.drift_run.as_of IS 'date as of which drift was measured';
COMMENT ON COLUMN motorisk.drift_run.version IS 'the version whose reference it was compared with';
COMMENT ON COLUMN motorisk.drift_run.month IS
    'first day of the month of policies measured, or of the day''s month for quotes and scores';
COMMENT ON COLUMN motorisk.drift_run.rows IS 'policies, quotes or scores that were compared';
COMMENT ON COLUMN motorisk.drift_run.reference_rows IS 'policies of the reference';
COMMENT ON COLUMN motorisk.drift_run.dataset_drift IS
    'whether the dataset drifts, as it does where at least half of the features do';
COMMENT ON COLUMN motorisk.drift_run.drifted_share IS 'share of the features that drift';
COMMENT ON COLUMN motorisk.drift_run.measured_at IS 'when it was measured';
COMMENT ON COLUMN motorisk.drift_run.windows IS
    'months of policies followed since the reference; 1 for quotes and scores';

COMMENT ON TABLE motorisk.drift_metric IS 'Each feature''s drift in such a run';
COMMENT ON COLUMN motorisk.drift_metric.as_of IS 'date of the night that measured it';
COMMENT ON COLUMN motorisk.drift_metric.feature IS
    'feature of the policies or quotes, or what scores foretell: risk_index, premium, low_risk and so on';
COMMENT ON COLUMN motorisk.drift_metric.score IS
    'distance from the reference: in its standard deviations, for flags the Jensen-Shannon distance';
COMMENT ON COLUMN motorisk.drift_metric.method IS 'wasserstein (numbers) or jensenshannon (flags)';
COMMENT ON COLUMN motorisk.drift_metric.threshold IS 'score from which on a window shows drift by itself';
COMMENT ON COLUMN motorisk.drift_metric.drifted IS
    'whether the feature drifts, by its score or by evidence that has added up';
COMMENT ON COLUMN motorisk.drift_metric.rows IS 'rows with a value; null: a night before these were measured';
COMMENT ON COLUMN motorisk.drift_metric.missing IS 'rows without a value; null: a night before these were measured';
COMMENT ON COLUMN motorisk.drift_metric.more_missing IS
    'whether more values are missing than chance explains; null: a night before these were measured';
COMMENT ON COLUMN motorisk.drift_metric.outliers IS
    'rows outside the tolerated range; null: a night before these were measured';
COMMENT ON COLUMN motorisk.drift_metric.evidence IS
    'e-value of all windows since the reference; null: fixed thresholds, or quotes and scores of a day';
COMMENT ON COLUMN motorisk.drift_metric.evidence_threshold IS
    'e-value from which on evidence convinces; null: fixed thresholds, or quotes and scores of a day';
COMMENT ON COLUMN motorisk.drift_metric.since IS
    'first day of the window in which the drift most likely began; null: no drift, or quotes and scores of a day';
COMMENT ON COLUMN motorisk.drift_metric.since_earliest IS
    'earliest such day, of a 95 % interval; null: no drift, or quotes and scores of a day';
COMMENT ON COLUMN motorisk.drift_metric.since_latest IS
    'latest such day, of a 95 % interval; null: no drift, or quotes and scores of a day';
COMMENT ON COLUMN motorisk.drift_metric.per_month IS
    'movement of the mean a month since then, in the feature''s unit; null: no drift, or too few windows to say';
COMMENT ON COLUMN motorisk.drift_metric.passes IS
    'when the score passes its threshold at this rate; null: it has, or will not within five years, or nobody can say';
COMMENT ON COLUMN motorisk.drift_metric.passes_earliest IS 'earliest such day, of a 95 % interval; null: as for passes';
COMMENT ON COLUMN motorisk.drift_metric.passes_latest IS
    'latest such day, of a 95 % interval; null: as for passes, or perhaps never';
COMMENT ON COLUMN motorisk.drift_metric.says IS 'all of it in words; null: a night before these were measured';
COMMENT ON COLUMN motorisk.drift_metric.kind IS 'policies, quotes or scores, as its run';

COMMENT ON TABLE motorisk.drift_reading IS
    'What a night says of each feature that drifts: what it means, costs and asks for';
COMMENT ON COLUMN motorisk.drift_reading.as_of IS 'date of the night that says so';
COMMENT ON COLUMN motorisk.drift_reading.feature IS 'the feature that drifts';
COMMENT ON COLUMN motorisk.drift_reading.version IS 'the champion whose reference it drifts from';
COMMENT ON COLUMN motorisk.drift_reading.action IS
    'what to do: nothing, recalibrate, retrain, re-engineer or fall back';
COMMENT ON COLUMN motorisk.drift_reading.says IS 'what the drift means, asks for and costs, in words';
COMMENT ON COLUMN motorisk.drift_reading.reading IS
    'the figures behind it: importance, premiums a year with their intervals, outcomes, segments';

COMMENT ON TABLE motorisk.drift_threshold IS
    'Scores that chance alone does not reach, by version, size and budget; computed once';
COMMENT ON COLUMN motorisk.drift_threshold.version IS 'the version whose reference it comes from';
COMMENT ON COLUMN motorisk.drift_threshold.feature IS 'the feature, or what scores foretell';
COMMENT ON COLUMN motorisk.drift_threshold.rows IS 'rows of the smallest window that it is for';
COMMENT ON COLUMN motorisk.drift_threshold.budget IS
    'windows of a world that stands still in which one false alarm is allowed';
COMMENT ON COLUMN motorisk.drift_threshold.threshold IS
    'score from which on a window of that size shows drift by itself';

COMMENT ON TABLE motorisk.drift_inbox IS 'Quotes that are in no window of the monitor yet';
COMMENT ON COLUMN motorisk.drift_inbox.arrival IS 'number of the arrival, counted up: windows take the oldest first';
COMMENT ON COLUMN motorisk.drift_inbox.quote_id IS 'the quote that waits';
COMMENT ON COLUMN motorisk.drift_inbox.quoted_at IS 'when it was priced';
COMMENT ON COLUMN motorisk.drift_inbox.arrived_at IS 'when it came into the ledger';

COMMENT ON TABLE motorisk.drift_window IS 'Windows of quotes that the monitor measured';
COMMENT ON COLUMN motorisk.drift_window.window_id IS 'number of the window, counted up';
COMMENT ON COLUMN motorisk.drift_window.size IS 'quotes of a full window';
COMMENT ON COLUMN motorisk.drift_window.version IS 'the champion whose reference it was compared with';
COMMENT ON COLUMN motorisk.drift_window.first_quoted_at IS 'when its earliest quote was priced';
COMMENT ON COLUMN motorisk.drift_window.last_quoted_at IS 'when its latest quote was priced';
COMMENT ON COLUMN motorisk.drift_window.rows IS
    'quotes that it has; fewer than a full window where they had waited too long';
COMMENT ON COLUMN motorisk.drift_window.dataset_drift IS
    'whether the dataset drifts, as it does where at least half of the features do';
COMMENT ON COLUMN motorisk.drift_window.drifted_share IS 'share of the features that drift';
COMMENT ON COLUMN motorisk.drift_window.figures IS 'figures of each feature that later windows of the version add up';
COMMENT ON COLUMN motorisk.drift_window.quote_ids IS 'the quotes that it has; each is in one window';
COMMENT ON COLUMN motorisk.drift_window.measured_at IS 'when it was measured';

COMMENT ON TABLE motorisk.drift_window_metric IS 'Each feature''s drift in such a window';
COMMENT ON COLUMN motorisk.drift_window_metric.window_id IS 'the window that was measured';
COMMENT ON COLUMN motorisk.drift_window_metric.feature IS 'the feature of the quotes';
COMMENT ON COLUMN motorisk.drift_window_metric.score IS
    'distance from the reference: in its standard deviations, for flags the Jensen-Shannon distance';
COMMENT ON COLUMN motorisk.drift_window_metric.method IS 'wasserstein (numbers) or jensenshannon (flags)';
COMMENT ON COLUMN motorisk.drift_window_metric.threshold IS 'score from which on a window shows drift by itself';
COMMENT ON COLUMN motorisk.drift_window_metric.drifted IS
    'whether the feature drifts, by its score or by evidence that has added up';
COMMENT ON COLUMN motorisk.drift_window_metric.rows IS 'rows with a value';
COMMENT ON COLUMN motorisk.drift_window_metric.missing IS 'rows without a value';
COMMENT ON COLUMN motorisk.drift_window_metric.more_missing IS 'whether more values are missing than chance explains';
COMMENT ON COLUMN motorisk.drift_window_metric.outliers IS 'rows outside the tolerated range';
COMMENT ON COLUMN motorisk.drift_window_metric.evidence IS
    'e-value of all windows since the reference; null: fixed thresholds';
COMMENT ON COLUMN motorisk.drift_window_metric.evidence_threshold IS
    'e-value from which on evidence convinces; null: fixed thresholds';
COMMENT ON COLUMN motorisk.drift_window_metric.since IS
    'first day of the window in which the drift most likely began; null: no drift';
COMMENT ON COLUMN motorisk.drift_window_metric.since_earliest IS
    'earliest such day, of a 95 % interval; null: no drift';
COMMENT ON COLUMN motorisk.drift_window_metric.since_latest IS 'latest such day, of a 95 % interval; null: no drift';
COMMENT ON COLUMN motorisk.drift_window_metric.per_month IS
    'movement of the mean a month since then, in the feature''s unit; null: no drift, or too few windows to say';
COMMENT ON COLUMN motorisk.drift_window_metric.passes IS
    'when the score passes its threshold at this rate; null: it has, or will not within five years, or nobody can say';
COMMENT ON COLUMN motorisk.drift_window_metric.passes_earliest IS
    'earliest such day, of a 95 % interval; null: as for passes';
COMMENT ON COLUMN motorisk.drift_window_metric.passes_latest IS
    'latest such day, of a 95 % interval; null: as for passes, or perhaps never';
COMMENT ON COLUMN motorisk.drift_window_metric.says IS 'all of it in words';

COMMENT ON TABLE motorisk.performance IS 'What versions foretold against what came true, by month of effective date';
COMMENT ON COLUMN motorisk.performance.month IS 'first day of the month in which the policies took effect';
COMMENT ON COLUMN motorisk.performance.version IS
    'the version judged: it knew most when the month began, or was the first made in it';
COMMENT ON COLUMN motorisk.performance.as_of IS 'date as of which outcomes were known';
COMMENT ON COLUMN motorisk.performance.policies IS
    'policies of the month whose outcomes the version had not known when it was trained';
COMMENT ON COLUMN motorisk.performance.estimated_accuracy IS
    'mean of its largest class probability: its own certainty, never judged by; null: it answers none';
COMMENT ON COLUMN motorisk.performance.rows IS 'of these, policies whose outcome is known';
COMMENT ON COLUMN motorisk.performance.accuracy IS 'share of these whose class came true; null: no outcome is known';
COMMENT ON COLUMN motorisk.performance.log_loss IS
    'mean log loss of the class probabilities, rules included; null: no outcome is known';
COMMENT ON COLUMN motorisk.performance.by_model IS 'of these, policies that the version answered and not the rules';
COMMENT ON COLUMN motorisk.performance.rmse IS
    'root mean squared error of the risk index; null: the version answered none';
COMMENT ON COLUMN motorisk.performance.bias IS
    'observed less expected risk index, in standard errors; null: the version answered none';
COMMENT ON COLUMN motorisk.performance.calibration_error IS
    'how far stated probabilities are from what came true; null: the version answered none';
COMMENT ON COLUMN motorisk.performance.actual IS
    'policies by the class that came true; null: the version answered none';
COMMENT ON COLUMN motorisk.performance.expected IS
    'sum of stated probabilities by class; null: the version answered none';
COMMENT ON COLUMN motorisk.performance.measured_at IS 'when it was measured';

COMMENT ON TABLE motorisk.alarm IS
    'What speaks against a served version, and whether a training was asked for because of it';
COMMENT ON COLUMN motorisk.alarm.version IS 'the version that it speaks against';
COMMENT ON COLUMN motorisk.alarm.cause IS 'performance, drift of the dataset, or drift of one feature';
COMMENT ON COLUMN motorisk.alarm.as_of IS 'date of the night that raised it first';
COMMENT ON COLUMN motorisk.alarm.since IS 'day from which on it holds';
COMMENT ON COLUMN motorisk.alarm.last_seen IS 'date of the newest night that saw it';
COMMENT ON COLUMN motorisk.alarm.reason IS 'what the night found, in words';
COMMENT ON COLUMN motorisk.alarm.e_value IS 'evidence that the version breaks its promise; null: a drift alarm';
COMMENT ON COLUMN motorisk.alarm.threshold IS 'e-value from which on it is an alarm; null: a drift alarm';
COMMENT ON COLUMN motorisk.alarm.raised_at IS 'when it was stored first';
COMMENT ON COLUMN motorisk.alarm.asked_at IS 'when a training was asked for because of it; null: none was';

COMMENT ON TABLE motorisk.training_configuration IS
    'Training configurations that were in force, one row a change, and the training that each has led to';
COMMENT ON COLUMN motorisk.training_configuration.number IS
    'number of the change, counted up: the last row is in force';
COMMENT ON COLUMN motorisk.training_configuration.digest IS
    'SHA-256 of what the file states: comments and layout change nothing';
COMMENT ON COLUMN motorisk.training_configuration.content IS 'what the file states, by name';
COMMENT ON COLUMN motorisk.training_configuration.bundle_version IS
    'commit of the DAG bundle in which it was seen first; null: a local folder';
COMMENT ON COLUMN motorisk.training_configuration.seen_at IS 'when it was seen first';
COMMENT ON COLUMN motorisk.training_configuration.asked_at IS
    'when a training with it was asked for, of the first row when it was seen; null: not asked for';
COMMENT ON COLUMN motorisk.training_configuration.training_run IS
    'the run of the first training with it; null: none has begun';

COMMENT ON TABLE motorisk.quarantined_row IS
    'Rows of import files that break the contract, with their line and reasons';
COMMENT ON COLUMN motorisk.quarantined_row.source_digest IS 'SHA-256 of the import file';
COMMENT ON COLUMN motorisk.quarantined_row.line IS 'line of the file on which the row begins';
COMMENT ON COLUMN motorisk.quarantined_row.source IS 'name of the file';
COMMENT ON COLUMN motorisk.quarantined_row.reasons IS 'what is wrong with it, a text each';
COMMENT ON COLUMN motorisk.quarantined_row.content IS 'the row as it stands in the file';
COMMENT ON COLUMN motorisk.quarantined_row.quarantined_at IS 'when it was put aside';

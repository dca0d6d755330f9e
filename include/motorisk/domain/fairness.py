"""What a price may not depend on, and obvious stand-ins for it.

Source: gender by the European Court of Justice (C-236/09, Test-Achats); race, ethnic origin, religion, disability and
sexual identity by section 19 of the German Equal Treatment Act (AGG). Names, titles, languages, birthplaces and
addresses give those away. Age is allowed where it is actuarially justified (AGG section 20), and is a rating feature.
"""

import re

_REASONS = {
    "stands for the driver's gender": ("gender", "sex", "salutation", "title", "pronoun", "maiden", "pregnancy"),
    "stands for the driver's origin": (
        "nationality",
        "citizenship",
        "ethnicity",
        "ethnic",
        "race",
        "birthplace",
        "birth_place",
        "birth_country",
        "passport",
        "language",
    ),
    "gives gender and origin away": ("name", "firstname", "lastname", "surname", "forename", "email"),
    "gives origin away, street by street": ("postcode", "postal", "zip", "address", "street"),
    "stands for the driver's religion or belief": ("religion", "belief", "church"),
    "stands for the driver's health": ("disability", "disabled", "health"),
    "stands for the driver's sexual identity": ("orientation", "marital", "spouse"),
}


def reason_against(feature: str) -> str | None:
    """Why a feature may not price policies, judged by its name; None where nothing speaks against it."""
    words = "_".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", feature)).lower()
    for reason, forbidden in _REASONS.items():
        if any(f"_{word}_" in f"_{words}_" for word in forbidden):
            return reason
    return None

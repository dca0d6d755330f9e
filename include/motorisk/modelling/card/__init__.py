"""The model card: what underwriters and actuaries read before a version may price policies.

`content` puts it together once; `markdown` and `html` write the same content down for terminals, forms and browsers.
"""

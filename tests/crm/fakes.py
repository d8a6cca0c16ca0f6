"""The fakes by name."""

import importlib

FAKES = {"chatwoot": "Chatwoot", "hubspot": "HubSpot", "salesforce": "Salesforce", "zendesk": "Zendesk", "zoho": "Zoho"}


def fake(name):
    """A fresh account of this CRM."""
    return getattr(importlib.import_module("fake_" + name), FAKES[name])()

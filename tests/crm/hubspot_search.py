"""HubSpot's search: groups of filters, what it finds late, and what it refuses."""

from message import Answer, Refused

OPERATORS = {"EQ", "NEQ", "IN", "NOT_IN", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN", "HAS_PROPERTY", "NOT_HAS_PROPERTY", "GT", "GTE",
             "LT", "LTE", "BETWEEN"}
GROUPS, FILTERS, ALL = 5, 6, 18


class Search:
    """POST …/search."""

    def __init__(self, objects):
        self.objects = objects

    def run(self, type, body):
        groups = body.get("filterGroups", [])
        limit = int(body.get("limit", 10))
        filters = [one for group in groups for one in group["filters"]]
        if len(groups) > GROUPS or len(filters) > ALL or any(len(group["filters"]) > FILTERS for group in groups):
            return self.refused("too many filters")
        if limit > 200:
            return self.refused("limit is at most 200")
        for one in filters:
            if one["operator"] not in OPERATORS:
                return self.refused(f"{one['operator']} is no operator")
            name = one["propertyName"]
            known = name in self.objects.defined[type] or name in ("hs_object_id", "createdate", "hs_createdate")
            if not known and not name.startswith("associations."):
                return self.refused(f"There was a problem with the request: property {name} does not exist")
        hub = self.objects.hub
        live = [record for record in self.objects.records[type].values() if not record["archived"] and hub.seen_by_search(record)]
        found = [record for record in live if not groups or any(self.fits(type, record, group) for group in groups)]
        after = int(body.get("after") or 0)
        if after + limit > 10000:
            return self.refused("at most 10,000 results")
        page = [self.objects.shown(record, body.get("properties", [])) for record in found[after : after + limit]]
        answer = {"total": len(found), "results": page}
        if after + limit < len(found):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return Answer(200, answer)

    def refused(self, text):
        raise Refused(self.objects.hub.error(400, text, "VALIDATION_ERROR"))

    def fits(self, type, record, group):
        return all(self.one(type, record, wanted) for wanted in group["filters"])

    def one(self, type, record, wanted):
        name, operator, value = wanted["propertyName"], wanted["operator"], wanted.get("value", "")
        if name.startswith("associations."):
            other = name.removeprefix("associations.")
            plural = {"company": "companies"}.get(other, other + "s")
            return value in self.objects.linked(type, record["id"], plural)
        has = record["id"] if name == "hs_object_id" else record["properties"].get(name, "")
        if operator in ("EQ", "NEQ"):
            # A match of values, not of bytes: case does not count.
            return (has.lower() == str(value).lower()) == (operator == "EQ")
        if operator in ("IN", "NOT_IN"):
            return (has in wanted["values"]) == (operator == "IN")
        if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
            return bool(has) == (operator == "HAS_PROPERTY")
        if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
            return self.contains(has, str(value)) == (operator == "CONTAINS_TOKEN")
        if operator == "BETWEEN":
            return value <= has <= wanted["highValue"]
        return {"GT": has > value, "GTE": has >= value, "LT": has < value, "LTE": has <= value}[operator]

    def contains(self, has, token):
        """Whole words; `*` at the beginning or the end stands for anything."""
        words = "".join(letter if letter.isalnum() or letter in "+@." else " " for letter in has.lower()).split()
        bare = token.strip("*").lower()
        for word in words:
            begins, ends = token.startswith("*"), token.endswith("*")
            if word == bare or begins and word.endswith(bare) or ends and word.startswith(bare) or begins and ends and bare in word:
                return True
        return False

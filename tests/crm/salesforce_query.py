"""SOQL and SOSL, as much of them as a client of files and phone numbers needs."""

import re

import fake_salesforce
from common import digits
from message import Answer, Refused

SOQL = re.compile(r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<name>\w+)(?:\s+WHERE\s+(?P<where>.+?))?(?:\s+ORDER\s+BY\s+(?P<order>\w+)"
                  r"(?P<down>\s+DESC)?(?:\s+ASC)?)?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*", re.IGNORECASE | re.DOTALL)
TERM = re.compile(r"\s*(?P<field>\w+)\s*(?P<op>=|!=|>=|<=|>|<|\bIN\b|\bLIKE\b)\s*(?P<value>\((?:'(?:[^'\\]|\\.)*'\s*,?\s*)+\)|"
                  r"'(?:[^'\\]|\\.)*'|[^\s()']+)\s*", re.IGNORECASE)
SOSL = re.compile(r"FIND\s+\{(?P<term>(?:[^}\\]|\\.)+)\}\s+IN\s+(?P<where>ALL|PHONE|EMAIL|NAME)\s+FIELDS(?:\s+RETURNING\s+(?P<objects>.+))?",
                  re.IGNORECASE | re.DOTALL)
RESERVED = set("?&|!{}[]()^~*:\\\"'+-")
LINK_FILTER = ("Implementation restriction: ContentDocumentLink requires a filter by a single Id on ContentDocumentId or LinkedEntityId "
               "using the equals operator or multiple Id's using the IN operator.")


def malformed(text, code="MALFORMED_QUERY"):
    return Refused(fake_salesforce.error(400, code, text))


class Queries:
    """Over all records."""

    def __init__(self, objects):
        self.objects = objects

    def soql(self, text, with_deleted):
        """SELECT fields FROM object WHERE terms with AND or with OR ORDER BY field LIMIT number."""
        query = SOQL.fullmatch(text)
        if not query:
            raise malformed(f"unexpected token in {text[:60]}")
        name = query["name"]
        if name not in self.objects.fields:
            raise malformed(f"sObject type '{name}' is not supported.", "INVALID_TYPE")
        test = self.where(name, query["where"])
        records = self.objects.records[name].values() if with_deleted else self.objects.live(name)
        found = [record for record in records if test(record)]
        if query["order"]:
            found.sort(key=lambda record: str(record.get(query["order"], "")), reverse=bool(query["down"]))
        if query["fields"].strip().lower() == "count()":
            return Answer(200, {"totalSize": len(found), "done": True, "records": []})
        fields = [field.strip() for field in query["fields"].split(",")]
        found = found[: int(query["limit"] or 2000)]
        shown = [self.objects.shown(name, record, fields) for record in found]
        return Answer(200, {"totalSize": len(found), "done": True, "records": shown})

    def where(self, name, text):
        """A test of one record."""
        if not text:
            if name == "ContentDocumentLink":
                raise malformed(LINK_FILTER)
            return lambda record: True
        text = text.strip()
        if text.startswith("(") and text.endswith(")"):
            text = text[1:-1]
        terms, words, at = [], set(), 0
        while True:
            term = TERM.match(text, at)
            if not term:
                raise malformed(f"unexpected token at {text[at : at + 30]}")
            terms.append(self.term(name, term))
            at = term.end()
            joined = re.compile(r"(AND|OR)\b", re.IGNORECASE).match(text, at)
            if not joined:
                break
            words.add(joined[1].upper())
            at = joined.end()
        if at != len(text) or len(words) > 1:
            raise malformed("only AND or only OR")
        if name == "ContentDocumentLink" and not re.search(r"(ContentDocumentId|LinkedEntityId)\s*(=|IN\b)", text, re.IGNORECASE):
            raise malformed(LINK_FILTER)
        every = any if words == {"OR"} else all
        return lambda record: every(test(record) for test in terms)

    def term(self, name, term):
        field, op = term["field"], term["op"].upper()
        if field not in self.objects.visible(name):
            text = f"No such column '{field}' on entity '{name}'."
            raise malformed(text, "INVALID_FIELD")
        values = [literal(value) for value in re.findall(r"'(?:[^'\\]|\\.)*'|[^\s(),']+", term["value"])]

        def holds(record):
            has = record.get(field)
            if op in ("=", "IN"):
                return any(same(has, value) for value in values)
            if op == "!=":
                return not same(has, values[0])
            if op == "LIKE":
                pattern = re.escape(str(values[0])).replace("%", ".*").replace("_", ".")
                return re.fullmatch(pattern, str(has or ""), re.IGNORECASE) is not None
            return has is not None and {">": has > values[0], "<": has < values[0], ">=": has >= values[0], "<=": has <= values[0]}[op]

        return holds

    def sosl(self, text):
        """FIND {term} IN PHONE FIELDS RETURNING Contact(Id, Phone), Lead(Id WHERE IsConverted = false). Late, as an index is."""
        query = SOSL.fullmatch(text.strip())
        if not query:
            raise malformed("expecting FIND {term} IN … FIELDS RETURNING …", "MALFORMED_SEARCH")
        bare = re.sub(r"\\.", "", query["term"])
        if set(bare) & (RESERVED - set("*")):
            raise malformed("No reserved character without a backslash", "MALFORMED_SEARCH")
        term = re.sub(r"\\(.)", r"\1", query["term"])
        terms = term.split(" OR ")
        if any(len(word.strip("*")) < 2 for word in terms):
            raise malformed("search term must be longer than one character", "MALFORMED_SEARCH")
        found = []
        for name, inner in re.findall(r"(\w+)\(([^)]*)\)", query["objects"] or "Contact(Id)"):
            if name not in self.objects.fields:
                raise malformed(f"sObject type '{name}' is not supported.", "INVALID_TYPE")
            fields, _, where = inner.partition(" WHERE ")
            test = self.where(name, where)
            wanted = [field.strip() for field in fields.split(",")]
            for record in self.objects.live(name):
                if self.objects.org.seen_by_search(record) and test(record) and any(matches(record, query["where"].upper(), word) for word in terms):
                    found.append(self.objects.shown(name, record, wanted))
        return Answer(200, {"searchRecords": found})


def matches(record, where, term):
    """Phones match across formats, by their last digits."""
    phones = [digits(record.get(key, "")) for key in ("Phone", "MobilePhone", "HomePhone", "OtherPhone")]
    texts = [str(record.get(key, "")).lower() for key in ("Email", "FirstName", "LastName", "Name", "Subject")]
    by_phone = len(digits(term)) > 3 and any(phone.endswith(digits(term)) for phone in phones)
    return by_phone if where == "PHONE" else by_phone or any(term.strip("*").lower() in text for text in texts)


def literal(text):
    if text.startswith("'"):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return {"true": True, "false": False, "null": None}.get(text.lower(), float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text)


def same(has, value):
    """Texts are equal without regard to case; ids of 15 characters equal those of 18."""
    if isinstance(has, str) and isinstance(value, str):
        return has.lower() == value.lower() or len(value) == 15 and has[:15] == value
    return has == value

"""A seeded world of companies: as Business Central's customers, and as Stripe's, each written by other hands.

2,000 BC customers with twins of every kind (the same company twice, namesakes elsewhere, sisters with one address, one
telephone or one tax number, an accountant's mailbox for many), legal forms first and last, in five scripts, and names
spelled in every way; and 500 Stripe customers of whom it is known who they are: one of them, one of several
cards that nobody can tell apart, or nobody who is there.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

BC_CUSTOMERS, STRIPE_CUSTOMERS = 2_000, 500
HOME = "DE"

Kind = Literal["plain", "alike", "twice", "absent"]
_WORDS = (
    "nord licht berg blau stern hafen feld wald fjord linde adler quelle brand stein gold silber eisen kupfer rosen "
    "winter sommer morgen abend mond sonnen wind wasser feuer erd luft see fluss insel ufer klippe tal heide moor "
    "garten grün süd höhen weiß größe"
).split()
_TRADES = [
    *(
        "Software Logistik Medien Druck Textil Foods Energie Consulting Labs Studio Handel Möbel Optik Robotics Marine"
    ).split(),
    "& Söhne",
    "und Partner",
]
_FIRST = "Anna Søren Zoë Jürgen María Łukasz Chloé Ömer Niels Eva José Åsa Ivan Renée Bjørn".split()
_LAST = "Müller Sørensen García Nowak Dubois Öztürk Rossi Larsson O'Neil Novák Kowalski Smith-Jones Brown".split()
# Country: legal form that stands first, words, their second halves, tax number and Stripe's kind of it, telephone.
_SCRIPTS: dict[str, tuple[str, str, str, str, str, str]] = {
    "RU": ("ООО", "Ромашка Василёк Северный Заря Маяк Берёза", "Сервис Трейд Строй Мебель", "##########", "ru_inn", "+7 495 ### ## ##"),
    "GR": ("ΑΕ", "Θάλασσα Ήλιος Αστέρι Πέτρα Ελιά Νησί", "Τρόφιμα Εμπορική Τεχνική Ναυτιλία", "EL#########", "eu_vat", "+30 21# ### ####"),
    "JP": ("株式会社", "山田 田中 さくら みどり ガーデン 富士", "商店 製作所 物産 電機", "T#############", "jp_trn", "+81 3 #### ####"),
    "IL": ('בע"מ', "שלום אור ים גל הדר כרמל", "סחר טכנולוגיות בניה מזון", "#########", "il_vat", "+972 3 ### ####"),
    "NL": ("Stichting", "Linde Waterkant Eikenhof Zonneweide Havenzicht Molen", "Zorg Wonen Onderwijs Kunst", "NL#########B0#", "eu_vat", "+31 20 ### ####"),
}  # fmt: skip
_ALL_FORMS_FIRST = frozenset(form for form, *_ in _SCRIPTS.values()) - {'בע"מ', "ΑΕ"}
_RESPELLED = (
    {"ü": "ue", "ö": "oe", "ä": "ae", "ø": "oe"},
    {"ü": "u", "ö": "o", "ä": "a", "ø": "o", "é": "e", "ё": "е"},
)
_GROUP_WORDS = {"DE": "Deutschland", "DK": "Danmark", "SE": "Sverige", "AT": "Österreich", "GB": "UK", "FR": "France"}
_CITIES = "Aachen Bern Cork Dresden Espoo Fulda Gent Halle Jena Köln Lund Mainz Nantes Oslo Pisa".split()
# Country: legal form, other ways to write it, tax number, telephone.
_COUNTRIES: dict[str, tuple[str, tuple[str, ...], str, str]] = {
    "DE": ("GmbH", ("G.m.b.H.", "gmbh"), "DE#########", "+49 30 #######"),
    "DK": ("ApS", ("aps", "ApS."), "DK########", "+45 ## ## ## ##"),
    "FR": ("SARL", ("S.A.R.L.", "Sarl"), "FR###########", "+33 1 ## ## ## ##"),
    "GB": ("Ltd", ("Limited", "Ltd."), "GB#########", "+44 20 7### ####"),
    "NL": ("B.V.", ("BV", "b.v."), "NL#########B0#", "+31 20 ### ####"),
    "SE": ("AB", ("ab",), "SE############", "+46 8 ### ### ##"),
    "AT": ("GmbH", ("GesmbH",), "ATU########", "+43 1 #######"),
}


@dataclass(frozen=True)
class Entity:
    """A company or person as it really is."""

    name: str
    legal_form: str
    country: str
    city: str
    postal_code: str
    street: str
    email: str
    phone: str
    tax_id: str
    """Empty for a person."""

    @property
    def full_name(self) -> str:
        return _place(self.name, self.legal_form, is_first=self.legal_form in _ALL_FORMS_FIRST)


@dataclass(frozen=True)
class StripeSide:
    """A Stripe customer, and who it is: the numbers of all its cards in Business Central."""

    kind: Kind
    fields: dict[str, Any]
    cards: frozenset[str]


@dataclass
class World:
    """Makes both sides from one seed."""

    rng: random.Random

    def build(self) -> tuple[list[dict[str, Any]], list[StripeSide]]:
        """Return the BC customers as the simulator's seed takes them, and the Stripe customers."""
        plain = [self._make_entity() for _ in range(1_500)]
        alike = [self._make_alike(self.rng.choice(plain)) for _ in range(300)]
        twice = self.rng.sample(plain, 200)
        cards = [*plain, *alike, *twice]
        assert len(cards) == BC_CUSTOMERS
        self.rng.shuffle(cards)
        numbers: dict[Entity, list[str]] = {}
        rows: list[dict[str, Any]] = []
        for at, entity in enumerate(cards):
            number = f"K{10_000 + at}"
            numbers.setdefault(entity, []).append(number)
            rows.append(self._write_card(entity, number, is_second=len(numbers[entity]) > 1))
        absent = [self._make_absent(self.rng.choice(plain)) for _ in range(100)]
        single = [entity for entity in plain if len(numbers[entity]) == 1]
        drawn: list[tuple[Kind, Entity]] = [
            *(("plain", entity) for entity in self.rng.sample(single, 300)),
            *(("alike", entity) for entity in self.rng.sample(alike, 60)),
            *(("twice", entity) for entity in self.rng.sample(twice, 40)),
            *(("absent", entity) for entity in absent),
        ]
        assert len(drawn) == STRIPE_CUSTOMERS
        sides = [StripeSide(kind, self._write_stripe(one), frozenset(numbers.get(one, ()))) for kind, one in drawn]
        self.rng.shuffle(sides)
        return rows, sides

    def _make_entity(self) -> Entity:
        if self.rng.random() < 0.15:
            return self._make_of_a_script()
        country = self.rng.choices(list(_COUNTRIES), weights=(8, 2, 2, 2, 2, 2, 2))[0]
        form, _, tax_id, phone = _COUNTRIES[country]
        is_person = self.rng.random() < 0.15
        words = f"{self.rng.choice(_WORDS)}{self.rng.choice(_WORDS)}".capitalize()
        name = f"{self.rng.choice(_FIRST)} {self.rng.choice(_LAST)}" if is_person else f"{words} {self._pick(_TRADES)}"
        domain = f"{words.lower()}{self.rng.randrange(10_000)}.example"
        return Entity(
            name=name,
            legal_form="" if is_person else form,
            country=country,
            city=self._pick(_CITIES),
            postal_code=self._digits("#####" if country in {"DE", "FR"} else "####"),
            street=f"{self._pick(_WORDS).capitalize()}weg {self.rng.randrange(1, 200)}",
            email=f"{self._pick(['billing', 'rechnung', 'info', 'ap', 'kontakt'])}@{domain}",
            phone=self._digits(phone),
            tax_id="" if is_person else self._digits(tax_id),
        )

    def _make_of_a_script(self) -> Entity:
        country = self._pick(list(_SCRIPTS))
        form, words, halves, tax_id, _, phone = _SCRIPTS[country]
        blank = "" if country == "JP" else " "
        return Entity(
            name=blank.join(
                (self._pick(words.split()) + self._pick(words.split()).lower(), self._pick(halves.split()))
            ),
            legal_form=form,
            country=country,
            city=self._pick(_CITIES),
            postal_code=self._digits("#####"),
            street=f"{self._pick(_WORDS).capitalize()} {self.rng.randrange(1, 200)}",
            email=f"info@{self._pick(_WORDS)}{self.rng.randrange(100_000)}.example",
            phone=self._digits(phone),
            tax_id=self._digits(tax_id),
        )

    def _make_alike(self, other: Entity) -> Entity:
        """Another company that shares something with one that is there."""
        own = self._make_entity()
        first = other.name.split()[0]
        shared: Callable[[], Entity] = self.rng.choice(
            [
                lambda: replace(own, name=other.name, legal_form=other.legal_form),
                lambda: replace(own, phone=other.phone, street=other.street, city=other.city, country=other.country),
                lambda: replace(own, phone=other.phone, postal_code=other.postal_code, country=other.country),
                lambda: replace(own, name=other.name, legal_form="AG", country=other.country),
                lambda: replace(own, email=other.email) if own.tax_id and other.tax_id else own,
                lambda: replace(own, name=f"{other.name} Nord", phone=other.phone, country=other.country),
                lambda: self._make_client_of_one_accountant(own, other),
                lambda: self._make_client_of_one_accountant(replace(own, name=f"The {own.name}"), other),
                lambda: replace(other, name=f"{first} {self._pick(['Invest', 'Holding', 'Byg', 'Ejendomme'])}"),
                lambda: replace(own, name=f"{first} {_GROUP_WORDS.get(own.country, 'Group')}", email=other.email),
            ]
        )
        made = shared()
        if made.tax_id and other.tax_id and made.country == other.country and self.rng.random() < 0.2:
            # A group that is taxed as one.
            return made if made.name == other.name else replace(made, tax_id=other.tax_id)
        return replace(made, tax_id=self._make_tax_id(made.country) if made.tax_id else "")

    def _make_client_of_one_accountant(self, own: Entity, other: Entity) -> Entity:
        return replace(own, email=other.email, phone=other.phone, postal_code=other.postal_code, country=other.country)

    def _make_tax_id(self, country: str) -> str:
        forms = {code: one[3] for code, one in _SCRIPTS.items()} | {code: one[2] for code, one in _COUNTRIES.items()}
        return self._digits(forms[country])

    def _make_absent(self, other: Entity) -> Entity:
        """Somebody who is not in Business Central; most share something with one that is."""
        return self._make_entity() if self.rng.random() < 0.4 else self._make_alike(other)

    def _write_card(self, entity: Entity, number: str, *, is_second: bool) -> dict[str, Any]:
        """Write a BC customer, as different clerks do."""
        is_domestic = entity.country == HOME
        return {
            "number": number,
            "displayName": self._write_name(entity),
            "type": "Company" if entity.tax_id else "Person",
            "email": self._miss(0.1, self._write_email(entity.email)),
            "phoneNumber": self._miss(0.2, self._write_phone(entity))[:30],
            "taxRegistrationNumber": self._miss(0.3, self._write_tax_id(entity)) if entity.tax_id else "",
            "addressLine1": entity.street,
            "city": entity.city,
            "postalCode": self._miss(0.1, self._write_postal_code(entity)),
            "country": "" if is_domestic and self.rng.random() < 0.4 else entity.country,
            "blocked": "All" if is_second and self.rng.random() < 0.3 else "_x0020_",
        }

    def _write_stripe(self, entity: Entity) -> dict[str, Any]:
        """Write a Stripe customer as people fill in forms: with typing errors, and much left out."""
        email = entity.email
        if self.rng.random() < 0.25:
            # An address that Business Central does not know: another mailbox, or a typing error.
            email = (
                self._mistype(email) if self.rng.random() < 0.4 else f"someone{self.rng.randrange(10**6)}@mail.example"
            )
        name = self._write_name(entity)
        address: dict[str, Any] = {"country": entity.country}
        if self.rng.random() < 0.75:
            address |= {"postal_code": entity.postal_code, "city": entity.city, "line1": entity.street}
        kind = {"GB": "gb_vat", "NL": "eu_vat"}.get(entity.country) or _SCRIPTS.get(
            entity.country, [""] * 4 + ["eu_vat"]
        )[4]
        tax_ids = [{"type": kind, "value": entity.tax_id}] if entity.tax_id and self.rng.random() < 0.7 else []
        return {
            "customer_name": self._mistype(name) if self.rng.random() < 0.1 else name,
            "customer_email": self._miss(0.1, self._write_email(email)) or None,
            "customer_phone": self._miss(0.4, self._write_phone(entity)) or None,
            "customer_address": address if self.rng.random() < 0.85 else None,
            "customer_tax_ids": tax_ids,
        }

    def _write_name(self, entity: Entity) -> str:
        form = entity.legal_form
        ways = next((others for own, others, *_ in _COUNTRIES.values() if own == form), ())
        written = self._pick([form, form, form, "", *ways]) if form else ""
        is_first = form in _ALL_FORMS_FIRST and self.rng.random() < 0.8
        name = _place(entity.name, written, is_first=is_first)
        respelled = name.translate(str.maketrans(self.rng.choice(_RESPELLED)))
        joined = name.replace(" & ", " und ").replace("ß", "ss")
        return self._pick(
            [
                name,
                name,
                name.upper(),
                name.replace(" ", "  "),
                f" {name}",
                name.replace("ü", "u\u0308"),
                respelled,
                joined,
            ]
        )

    def _write_email(self, email: str) -> str:
        return self._pick([email, email, email.upper(), email.capitalize(), f"{email} "])

    def _write_phone(self, entity: Entity) -> str:
        phone = entity.phone
        prefix, _, rest = phone.partition(" ")
        local = rest if entity.country == "DK" else f"0{rest}"
        compact = phone.replace(" ", "")
        return self._pick(
            [phone, compact, phone.replace("+", "00"), local, local.replace(" ", "-"), f"{prefix} (0){rest}"]
        )

    def _write_tax_id(self, entity: Entity) -> str:
        if not entity.tax_id[:2].isalpha():
            return entity.tax_id
        bare, prefix = entity.tax_id[2:], entity.tax_id[:2]
        return self._pick([entity.tax_id, entity.tax_id, bare, f"{prefix} {bare[:3]} {bare[3:]}", f"{prefix}-{bare}"])

    def _write_postal_code(self, entity: Entity) -> str:
        return self._pick([entity.postal_code, entity.postal_code, f"{entity.country}-{entity.postal_code}"])

    def _mistype(self, text: str) -> str:
        """Two letters change places, or one is lost."""
        at = self.rng.randrange(len(text) - 2)
        if self.rng.random() < 0.5:
            return text[:at] + text[at + 1 :]
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]

    def _miss(self, chance: float, text: str) -> str:
        return "" if self.rng.random() < chance else text

    def _pick(self, choices: Sequence[str]) -> str:
        return self.rng.choice(choices)

    def _digits(self, form: str) -> str:
        return "".join(str(self.rng.randrange(1, 10)) if char == "#" else char for char in form)


def _place(name: str, form: str, *, is_first: bool) -> str:
    blank = "" if form == "株式会社" else " "
    return blank.join((form, name) if is_first else (name, form)).strip()


def generate(seed: int) -> tuple[list[dict[str, Any]], list[StripeSide]]:
    """Return the BC customers and the Stripe customers of a seed."""
    return World(random.Random(seed)).build()

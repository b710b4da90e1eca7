"""Legal forms of companies, as names carry them: `Acme GmbH & Co. KG` is `acme` and its form, in any script.

No library that was looked at fits: they know the forms of the Latin script at the end of a name, and tell whether there
is one, not which two are the same.
"""

import re
import unicodedata

# As words, without dots and commas. A spelled-out form stands for its short one. The longest that fits is taken.
_FORMS: dict[str, tuple[str, ...]] = {
    "gmbh & co kgaa": ("gmbh & co kgaa",),
    "gmbh & co kg": ("gmbh & co kg", "gmbh & cokg", "gmbh und co kg", "gmbh u co kg", "gmbh + co kg", "gmbh co kg"),
    "gmbh & co ohg": ("gmbh & co ohg",),
    "ag & co kg": ("ag & co kg", "ag & co kgaa"),
    "se & co kg": ("se & co kg", "se & co kgaa"),
    "ug & co kg": ("ug & co kg", "ug haftungsbeschränkt & co kg"),
    "gmbh": (
        "gmbh",
        "gesellschaft mit beschränkter haftung",
        "g m b h",
        "mbh",
        "ges m b h",
        "gesmbh",
        "gesellschaft mbh",
    ),
    "ggmbh": ("ggmbh", "gemeinnützige gmbh"),
    "ug": ("ug", "ug haftungsbeschränkt", "unternehmergesellschaft haftungsbeschränkt", "unternehmergesellschaft"),
    "ag": ("ag", "aktiengesellschaft"),
    "kgaa": ("kgaa",),
    "kg": ("kg", "kommanditgesellschaft"),
    "ohg": ("ohg", "offene handelsgesellschaft"),
    "og": ("og", "offene gesellschaft"),
    "gbr": ("gbr", "gesbr", "gesellschaft bürgerlichen rechts"),
    "ek": ("ek", "e k", "e kfm", "ekfm", "e kfr", "ekfr", "eingetragener kaufmann", "eingetragene kauffrau"),
    "eu": ("eu", "e u", "eingetragener unternehmer"),
    "ev": ("ev", "e v", "eingetragener verein"),
    "eg": ("eg", "e g", "eingetragene genossenschaft"),
    "partg": ("partg", "partg mbb", "partgmbb"),
    "klg": ("klg",),
    "sagl": ("sagl",),
    "ltd": ("ltd", "limited", "co ltd", "company limited", "cyf", "cyfyngedig", "teo", "teoranta"),
    "pty ltd": ("pty ltd", "pty limited", "proprietary limited"),
    "pte ltd": ("pte ltd", "pte limited", "private limited company"),
    "pvt ltd": ("pvt ltd", "private limited", "pvt limited"),
    "ltd sti": ("ltd şti", "limited şirketi", "limited şti", "ltd şirketi"),
    "sdn bhd": ("sdn bhd", "sendirian berhad"),
    "bhd": ("bhd", "berhad"),
    "pt": ("pt", "perseroan terbatas"),
    "tbk": ("tbk",),
    "plc": ("plc", "public limited company", "ccc"),
    "llp": ("llp", "limited liability partnership"),
    "lp": ("lp", "limited partnership"),
    "llc": ("llc", "l l c", "limited liability company"),
    "pllc": ("pllc",),
    "inc": ("inc", "incorporated", "incorporee"),
    "ltee": ("ltée",),
    "corp": ("corp", "corporation"),
    "co": ("co", "company"),
    "cic": ("cic", "community interest company"),
    "cio": ("cio",),
    "dac": ("dac", "designated activity company"),
    "clg": ("clg", "company limited by guarantee"),
    "aps": ("aps", "anpartsselskab", "anpartsselskabet"),
    "as": (
        "as",
        "a/s",
        "aktieselskab",
        "aktieselskabet",
        "aksjeselskap",
        "aş",
        "a ş",
        "anonim şirketi",
        "a s",
        "akciová společnost",
    ),
    "is": ("i/s", "interessentskab", "interessentskabet"),
    "ks": ("k/s", "kommanditselskab", "kommanditselskabet"),
    "ps": ("p/s", "partnerselskab", "partnerselskabet"),
    "ivs": ("ivs",),
    "amba": ("amba", "a m b a"),
    "fmba": ("fmba",),
    "smba": ("smba",),
    "asa": ("asa", "allmennaksjeselskap"),
    "ans": ("ans",),
    "da": ("da",),
    "enk": ("enk", "enkeltpersonforetak"),
    "nuf": ("nuf",),
    "ab": ("ab", "aktiebolag", "aktiebolaget", "aktiebolag publ", "ab publ"),
    "hb": ("hb", "handelsbolag"),
    "kb": ("kb", "kommanditbolag"),
    "ek for": ("ek för", "ekonomisk förening"),
    "oy": ("oy", "osakeyhtiö", "oy ab"),
    "oyj": ("oyj", "julkinen osakeyhtiö"),
    "ky": ("ky", "kommandiittiyhtiö"),
    "tmi": ("tmi", "toiminimi"),
    "ry": ("ry", "r y"),
    "ehf": ("ehf", "einkahlutafélag"),
    "hf": ("hf", "hlutafélag"),
    "ou": ("oü", "osaühing"),
    "mtu": ("mtü",),
    "sia": ("sia", "sabiedrība ar ierobežotu atbildību"),
    "uab": ("uab", "uždaroji akcinė bendrovė"),
    "mb lt": ("mb", "mažoji bendrija"),
    "vsi": ("všį", "vši", "viešoji įstaiga"),
    "bv": ("bv", "b v", "besloten vennootschap", "besloten vennootschap met beperkte aansprakelijkheid"),
    "nv": ("nv", "n v", "naamloze vennootschap"),
    "vof": ("vof", "v o f", "vennootschap onder firma"),
    "cv": ("cv", "c v", "commanditaire vennootschap"),
    "bvba": ("bvba",),
    "cvba": ("cvba",),
    "vzw": ("vzw", "asbl"),
    "stichting": ("stichting",),
    "vereniging": ("vereniging",),
    "stiftung": ("stiftung",),
    "verein": ("verein",),
    "fonden": ("fonden",),
    "fze": ("fze",),
    "wll": ("wll", "w l l"),
    "ulc": ("ulc",),
    "pp": ("пп",),
    "cooperatie": ("coöperatie ua", "coöperatie u a", "coöperatie", "u a", "ua"),
    "srl": ("srl", "s r l", "società a responsabilità limitata", "sociedad de responsabilidad limitada"),
    "sarl": ("sarl", "s a r l", "s à r l", "sàrl", "société à responsabilité limitée"),
    "sprl": ("sprl",),
    "sa": ("sa", "s a", "s/a", "société anonyme", "sociedad anónima", "sociedade anónima", "sociedade anônima"),
    "sas": ("sas", "s a s", "société par actions simplifiée"),
    "sasu": ("sasu",),
    "eurl": ("eurl",),
    "sci": ("sci", "société civile immobilière"),
    "scop": ("scop",),
    "snc": ("snc", "s n c"),
    "spa": ("spa", "s p a", "società per azioni"),
    "srls": ("srls",),
    "ss": ("s s", "società semplice"),
    "sl": ("sl", "s l", "sociedad limitada"),
    "slu": ("slu", "s l u", "sociedad limitada unipersonal"),
    "slp": ("slp",),
    "sau": ("sau",),
    "sll": ("sll",),
    "scoop": ("s coop", "scoop"),
    "lda": ("lda", "limitada", "unipessoal lda", "unipessoal limitada"),
    "ltda": ("ltda",),
    "sa de cv": ("sa de cv", "s a de c v"),
    "s de rl de cv": ("s de rl de cv", "s de rl"),
    "sp z oo": ("sp z oo", "sp z o o", "spółka z ograniczoną odpowiedzialnością", "spółka z oo", "sp zo o", "sp zoo"),
    "sp z oo sp k": ("sp z oo sp k", "sp z oo spółka komandytowa"),
    "sp j": ("sp j", "spółka jawna"),
    "sp k": ("sp k", "spółka komandytowa"),
    "sro": ("sro", "s r o", "spol s r o", "spol sro", "společnost s ručením omezeným"),
    "kft": ("kft", "korlátolt felelősségű társaság"),
    "bt": ("bt", "betéti társaság"),
    "zrt": ("zrt",),
    "nyrt": ("nyrt",),
    "doo": ("doo", "d o o", "доо"),
    "jdoo": ("jdoo", "j d o o"),
    "dooel": ("dooel", "дооел"),
    "dd": ("dd", "d d"),
    "ood": ("ood", "оод"),
    "eood": ("eood", "еоод"),
    "ad": ("ad", "ад"),
    "ead": ("ead", "еад"),
    "ooo": ("ooo", "ооо", "общество с ограниченной ответственностью"),
    "ao": ("ao", "ао", "акционерное общество", "ат"),
    "pao": ("pao", "пао", "публичное акционерное общество", "пат"),
    "zao": ("zao", "зао", "закрытое акционерное общество"),
    "oao": ("oao", "оао", "открытое акционерное общество"),
    "ip": ("ип", "индивидуальный предприниматель"),
    "tov": ("tov", "тов", "товариство з обмеженою відповідальністю"),
    "fop": ("фоп",),
    "too": ("тоо",),
    "odo": ("одо",),
    "ae": ("αε", "ανώνυμη εταιρεία", "ανώνυμη εταιρία"),
    "epe": ("επε", "epe"),
    "ike": ("ικε", "ike"),
    "oe": ("οε",),
    "ee": ("εε",),
    "se": ("se", "societas europaea"),
    "bm": ("בעמ",),
    "arabic llc": ("ذمم", "شذمم", "شركة ذات مسؤولية محدودة", "المحدودة"),
    "arabic jsc": ("شمم", "شمع", "شمك", "شركة مساهمة", "شركة مساهمة عامة"),
    "kk": ("kk", "k k", "株式会社", "株"),
    "godo": ("gk", "合同会社", "合"),
    "yugen": ("yk", "有限会社", "有"),
    "youxian": ("有限公司", "有限责任公司", "有限責任公司"),
    "gufen": ("股份有限公司",),
    "jusik": ("주식회사", "주"),
    "yuhan": ("유한회사", "유"),
    "thai ltd": ("จำกัด",),
    "thai plc": ("จำกัด มหาชน",),
    "tnhh": ("tnhh", "công ty tnhh", "công ty trách nhiệm hữu hạn"),
    "co phan": ("công ty cổ phần", "công ty cp"),
}
# What may stand first: more than these begin names of companies (`AG Barr plc`).
_MAY_STAND_FIRST = frozenset(
    "stichting vereniging stiftung verein fonden cooperatie ab as aps oy oyj ou mtu sia uab vsi sarl sas sasu eurl sci "
    "snc sa srl bv nv vzw pp pt ooo ao pao zao oao ip tov fop too odo kk godo yugen youxian gufen jusik yuhan ad ood "
    "eood bm tnhh".split()
) | {"co phan", "mb lt", "arabic llc", "arabic jsc"}
# Words that stand first where the form stands last, and say the same once more.
_AROUND = {
    "ab": "oy", "srl": "sc", "sa": "sc", "tbk": "pt", "arabic llc": "شركة", "arabic jsc": "شركة",
    "thai ltd": "บริษัท", "thai plc": "บริษัท", "cooperatie": "coöperatie",
}  # fmt: skip
# `Foo & Co` is a name: what follows one of these belongs to it.
CONNECTIVES = frozenset("& + und and et og och en y e ja ve és oraz και и та".split())
"""Words for *and*."""
_BELONG = CONNECTIVES | {"the"}
# They stand right before or after the name; abbreviated, only in brackets.
_JOINED = tuple(unicodedata.normalize("NFKC", form) for form in (
    "股份有限公司", "有限責任公司", "有限责任公司", "有限公司", "株式会社", "有限会社", "合同会社",
    "주식회사", "유한회사", "(株)", "(有)", "(合)", "(주)", "(유)", "จำกัด (มหาชน)", "จำกัด",
))  # fmt: skip
_ONLY_IN_BRACKETS = frozenset("株有合주유")
_QUOTES = re.compile(r"['\"\u0640\u05f3\u05f4\u2032\u2033\u02bc\u300c\u300d\u300e\u300f]")
_SLASHED = re.compile(r"(?<!\w)([aikps])\s?/\s?([as])(?!\w)")
_IN_WORDS = frozenset("LNM")
# Of letters that German and the Nordic languages have: two ways to write them without.
_DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"})
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe"})
_BOTH = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ß": "ss", "ħ": "h", "ŋ": "n", "髙": "高", "﨑": "崎"}
    | {"ى": "ي", "ی": "ي", "ة": "ه", "ک": "ك"}
)
# Marks over letters; not those that make another letter of a Cyrillic one, nor those of scripts that write vowels so.
_MARKS = re.compile(r"(?<![\u0438\u0456])[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")


def list_spellings(text: str) -> tuple[str, str]:
    """Return a folded text without its accents, in the two ways that people do it: *mueller* and *muller*."""
    return tuple(_strip(text.translate(table)) for table in (_DIGRAPHS, _PLAIN))  # pyright: ignore[reportReturnType]


def split_words(name: str) -> tuple[str, ...]:
    """Part a folded name into its words, without punctuation; `&`, `+` and the slash of `a/s` are kept."""
    text = _SLASHED.sub("\\1\u2044\\2", _QUOTES.sub("", _close_dots(name)))
    kept = (char if unicodedata.category(char)[0] in _IN_WORDS or char in "&+\u2044" else " " for char in text)
    return tuple(re.sub(r"([&+])", r" \1 ", "".join(kept)).replace("\u2044", "/").split())


def split_legal_form(name: str) -> tuple[str, str]:
    """Split a normalised name into what is left of it and its legal form; the form is empty where it has none.

    Never takes the whole name, and takes one form only: the last words, else the first.
    """
    text, bracketed = _part_joined(name)
    words = split_words(text)
    for length in range(min(_LONGEST, len(words) - 1), 0, -1):
        head, tail = words[:-length], words[-length:]
        form = _find_form(tail, bracketed)
        if form and head[-1] not in _BELONG:
            return " ".join(_drop_around(head, form)), form
    for length in range(min(_LONGEST, len(words) - 1), 0, -1):
        form = _find_form(words[:length], bracketed)
        if form in _MAY_STAND_FIRST and words[length] not in CONNECTIVES:
            return " ".join(words[length:]), form
    return " ".join(words), ""


def may_be_same_form(one: str, other: str) -> bool:
    """Tell whether two legal forms may belong to one company: equal, or left out on one side."""
    return one == other or not one or not other


def _find_form(words: tuple[str, ...], bracketed: str) -> str:
    if len(words) == 1 and words[0] in _ONLY_IN_BRACKETS and words[0] != bracketed:
        return ""
    # `s.à r.l.` and `s. à r. l.` are parted in ways that nobody can list.
    joined = "".join(words)
    return _BY_WORDS.get(words) or (_BY_LETTERS.get(joined, "") if len(joined) >= _MANY_LETTERS else "")


def _drop_around(head: tuple[str, ...], form: str) -> tuple[str, ...]:
    return head[1:] if len(head) > 1 and head[0] == _AROUND.get(form) else head


def _strip(text: str) -> str:
    bare = _MARKS.sub("", unicodedata.normalize("NFD", text.translate(_BOTH)))
    return unicodedata.normalize("NFC", bare)


def _close_dots(name: str) -> str:
    """`b.v.` is `bv`: dots between single letters only abbreviate."""
    return re.sub(r"\b(?:\w\.){2,}(?=\W|$)|\b(?:\w\.)+\w\b(?!\w)", lambda found: found[0].replace(".", ""), name)


def _part_joined(name: str) -> tuple[str, str]:
    """Forms of Asia stand right before or after the name. Returns also what stood in brackets."""
    text = name.strip()
    for form in _JOINED:
        bracketed = form.strip("()") if form.startswith("(") else ""
        if text.endswith(form) and text != form:
            return f"{_part_first(text.removesuffix(form))} {form}", bracketed
        if text.startswith(form) and text != form:
            return f"{form} {text.removeprefix(form)}", bracketed
    return text, ""


def _part_first(text: str) -> str:
    return re.sub(rf"^{_AROUND['thai ltd']}", r"\g<0> ", text)


def _list_ways() -> dict[tuple[str, ...], str]:
    ways = [(unicodedata.normalize("NFKC", way), form) for form, written in _FORMS.items() for way in written]
    # Also without their accents, unless another form is written so.
    plain = {tuple(one.split()): form for way, form in reversed(ways) for one in list_spellings(way)}
    return plain | {tuple(way.split()): form for way, form in ways}


_BY_WORDS = _list_ways()
_BY_LETTERS = {"".join(words): form for words, form in reversed(_BY_WORDS.items())}
_LONGEST = max(len(words) for words in _BY_WORDS)
_MANY_LETTERS = 4

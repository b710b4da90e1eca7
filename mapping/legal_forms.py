"""Legal forms of companies, as names carry them: `Acme GmbH & Co. KG` is `acme` and its form."""

# ruff: noqa: RUF001 - forms of all scripts

import re

# As words, without dots and commas. A spelled-out form stands for its short one. The longest that fits is taken.
_FORMS: dict[str, tuple[str, ...]] = {
    "gmbh & co kgaa": ("gmbh & co kgaa",),
    "gmbh & co kg": ("gmbh & co kg", "gmbh & cokg", "gmbh und co kg", "gmbh u co kg", "gmbh + co kg", "gmbh co kg"),
    "ag & co kg": ("ag & co kg", "ag & co kgaa"),
    "ug & co kg": ("ug & co kg", "ug (haftungsbeschränkt) & co kg"),
    "gmbh": ("gmbh", "gesellschaft mit beschränkter haftung", "g m b h", "mbh", "ges m b h", "gesmbh"),
    "ggmbh": ("ggmbh",),
    "ug": ("ug", "ug (haftungsbeschränkt)", "ug haftungsbeschränkt", "unternehmergesellschaft (haftungsbeschränkt)"),
    "ag": ("ag", "aktiengesellschaft"),
    "kgaa": ("kgaa",),
    "kg": ("kg", "kommanditgesellschaft"),
    "ohg": ("ohg", "offene handelsgesellschaft"),
    "gbr": ("gbr",),
    "ek": ("ek", "e k", "e kfm", "ekfm", "e kfr"),
    "ev": ("ev", "e v"),
    "eg": ("eg", "e g"),
    "partg": ("partg", "partg mbb", "partgmbb"),
    "ltd": ("ltd", "limited", "co ltd", "company limited"),
    "pty ltd": ("pty ltd", "pty limited", "proprietary limited"),
    "pte ltd": ("pte ltd", "pte limited"),
    "pvt ltd": ("pvt ltd", "private limited", "pvt limited"),
    "plc": ("plc", "public limited company"),
    "llp": ("llp",),
    "lp": ("lp",),
    "llc": ("llc", "l l c", "limited liability company"),
    "inc": ("inc", "incorporated"),
    "corp": ("corp", "corporation"),
    "co": ("co", "company"),
    "dac": ("dac",),
    "clg": ("clg",),
    "aps": ("aps", "anpartsselskab"),
    "a/s": ("a/s", "aktieselskab"),
    "i/s": ("i/s",),
    "k/s": ("k/s",),
    "p/s": ("p/s",),
    "ivs": ("ivs",),
    "amba": ("amba", "a m b a"),
    "as": ("as", "aksjeselskap"),
    "asa": ("asa",),
    "ab": ("ab", "aktiebolag"),
    "hb": ("hb",),
    "kb": ("kb",),
    "oy": ("oy", "osakeyhtiö"),
    "oyj": ("oyj",),
    "ou": ("oü",),
    "bv": ("bv", "b v", "besloten vennootschap"),
    "nv": ("nv", "n v"),
    "vof": ("vof", "v o f"),
    "cv": ("cv", "c v"),
    "bvba": ("bvba",),
    "srl": ("srl", "s r l"),
    "sarl": ("sarl", "s a r l", "s à r l", "sàrl"),
    "sprl": ("sprl",),
    "sa": ("sa", "s a", "société anonyme", "sociedad anónima"),
    "sas": ("sas", "s a s"),
    "sasu": ("sasu",),
    "eurl": ("eurl",),
    "sci": ("sci",),
    "snc": ("snc", "s n c"),
    "spa": ("spa", "s p a"),
    "srls": ("srls",),
    "sl": ("sl", "s l"),
    "slu": ("slu", "s l u"),
    "sau": ("sau",),
    "lda": ("lda", "limitada"),
    "ltda": ("ltda",),
    "sa de cv": ("sa de cv", "s a de c v"),
    "sp z oo": ("sp z oo", "sp zoo", "sp z o o", "spółka z ograniczoną odpowiedzialnością", "spolka z oo"),
    "sp j": ("sp j",),
    "sp k": ("sp k",),
    "sro": ("sro", "s r o", "spol s r o"),
    "as cz": ("a s",),
    "kft": ("kft",),
    "zrt": ("zrt",),
    "doo": ("doo", "d o o"),
    "dd": ("dd", "d d"),
    "ood": ("ood", "eood"),
    "ooo": ("ooo",),
    "uab": ("uab",),
    "sia": ("sia",),
    "se": ("se",),
    "mb": ("mb",),
    "ehf": ("ehf",),
    "hf": ("hf",),
    "ans": ("ans",),
    "da": ("da",),
    "enk": ("enk",),
    "smba": ("smba", "s m b a"),
    "nyrt": ("nyrt",),
    "bt": ("bt",),
    "ad": ("ad", "ад"),
    "ead": ("ead", "еад"),
    "ood bg": ("оод",),
    "eood bg": ("еоод",),
    "ae": ("ae", "a e", "αε", "α ε", "ανώνυμη εταιρεία", "ανωνυμη εταιρεια"),
    "epe": ("epe", "επε", "ε π ε"),
    "ike": ("ike", "ικε", "ι κ ε"),
    "oe": ("οε", "ο ε"),
    "ooo ru": ("ооо", "общество с ограниченной ответственностью"),
    "ao ru": ("ао", "акционерное общество"),
    "pao ru": ("пао",),
    "zao ru": ("зао",),
    "oao ru": ("оао",),
    "ip ru": ("ип",),
    "tov": ("тов",),
    "pp ua": ("пп",),
    "doo sr": ("доо", "д о о"),
    "bm": ('בע"מ', "בע''מ", "בעמ"),
    "llc ar": ("ذ م م", "ذمم", "ش ذ م م"),
    "jsc ar": ("ش م م", "شمم"),
    "sdn bhd": ("sdn bhd",),
    "bhd": ("bhd",),
    "pt": ("pt",),
    "fze": ("fze",),
    "wll": ("wll", "w l l"),
    "ulc": ("ulc",),
    "ltee": ("ltée", "ltee"),
    "stichting": ("stichting",),
    "vereniging": ("vereniging",),
    "stiftung": ("stiftung",),
    "fonden": ("fonden", "fond"),
    "verein": ("verein",),
    "kk": ("kk", "k k", "株式会社", "(株)"),
    "godo": ("合同会社",),
    "yugen": ("有限会社", "(有)"),
    "cn ltd": ("有限公司", "有限责任公司", "有限責任公司"),
    "cn co ltd": ("股份有限公司",),
    "kr co": ("주식회사", "(주)"),
    "kr ltd": ("유한회사", "(유)"),
}
# Those that stand before a name, too. Of others it would be a word of the name.
_FIRST = frozenset(
    "stichting vereniging stiftung fonden verein sas sasu sarl eurl sci snc sa srl spa ab a/s as oy ou uab sia mb pt "
    "cv vof ae tov kk godo yugen k/s i/s".split()
) | {form for form in _FORMS if form.endswith((" ru", " ua", " sr")) or form.startswith(("cn ", "kr "))}
# `Foo & Co` is a name: what follows one of these belongs to it.
_NOT_AFTER = frozenset({"&", "und", "and", "+", "et", "og", "och", "en", "y", "e"})
_JOINED = (
    *("株式会社", "有限会社", "合同会社", "(株)", "(有)", "주식회사", "(주)", "유한회사", "(유)"),
    *("股份有限公司", "有限责任公司", "有限責任公司", "有限公司"),
)
_BY_WORDS = {tuple(written.split()): form for form, ways in _FORMS.items() for written in ways}
_LONGEST = max(len(words) for words in _BY_WORDS)


def split_legal_form(name: str) -> tuple[str, str]:
    """Split a normalised name into what is left of it and its legal form; the form is empty where it has none.

    It stands behind the name, or, of some countries, before it. Never takes the whole name, and takes one form only.
    """
    words = tuple(re.sub(r"[.,،]", " ", _part_joined(_close_dots(name))).split())
    for length in range(min(_LONGEST, len(words) - 1), 0, -1):
        head, tail = words[:-length], words[-length:]
        if tail in _BY_WORDS and head[-1] not in _NOT_AFTER:
            return _join(head), _BY_WORDS[tail]
    for length in range(min(_LONGEST, len(words) - 1), 0, -1):
        head, tail = words[:length], words[length:]
        if _BY_WORDS.get(head) in _FIRST and tail[0] not in _NOT_AFTER:
            return _join(tail), _BY_WORDS[head]
    return _join(words), ""


def _join(words: tuple[str, ...]) -> str:
    return " ".join(words).strip(" -")


def may_be_same_form(one: str, other: str) -> bool:
    """Tell whether two legal forms may belong to one company: equal, or left out on one side."""
    return one == other or not one or not other


def _close_dots(name: str) -> str:
    """`b.v.` is `bv`: dots between single letters only abbreviate."""
    return re.sub(r"\b(?:\w\.){2,}(?=\W|$)|\b(?:\w\.)+\w\b(?!\w)", lambda found: found[0].replace(".", ""), name)


def _part_joined(name: str) -> str:
    """Japanese forms stand right before or after the name."""
    for form in _JOINED:
        if name.startswith(form):
            return f"{form} {name.removeprefix(form)}"
        if name.endswith(form):
            return f"{name.removesuffix(form)} {form}"
    return name

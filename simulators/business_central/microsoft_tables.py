"""Set-up that Microsoft ships with a company: number formats, countries, currencies, payment terms (BCApps, W1)."""

VAT_FORMATS: dict[str, str] = {
    "AT": "ATU########",
    "BE": "BE#########; BE #########; BE ###.###.###; BE ### ### ###; #########; ###.###.###; ### ### ###",
    "BG": "BG##########; BG#########",
    "CH": "CHE-###.###.###MWST; CHE-###.###.### TVA; CHE-###.###.### IVA; ### ###",
    "CY": "CY########@; ########@",
    "CZ": "CZ########; CZ#########; CZ##########",
    "DE": "DE#########; #########",
    "DK": "DK########; ########",
    "EE": "EE#########; #########",
    "ES": (
        "ES########@; ########@; ES@########; @########; ES@#######@; @#######@; @########@; "
        "@######@; @#####@; #######@; ######@; #####@; @#######; @######; @#####"
    ),
    "FR": "FR###########; ###########",
    "GB": "GB#########; GB###-####-##; GB### #### ##; ###-####-##; ### #### ##; #########",
    "HR": "HR###########",
    "HU": "HU########; ########",
    "LT": "LT#########; LT############; #########; ############",
    "LU": "LU########; ########",
    "LV": "LV###########; ###########",
    "MT": "MT########; ########",
    "NL": "NL#########B##; #########B##",
    "NO": "NO ### ### ### MVA; ### ### ### MVA; NO ### ### ###; #########",
    "PL": "PL##########; ##########",
    "RO": "RO##########",
    "SE": "SE##########01; ##########01",
    "SG": "##-#######-?",
    "SI": "SI########; ########",
    "SK": "SK#########; SK##########; #########; ##########",
}
"""Accepted forms of VAT registration numbers by country: `#` a digit, `@` a letter, `?` anything."""

COUNTRIES = """
AD AE AF AG AI AL AM AO AQ AR AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD
CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH EL ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IS IT JE JM JO JP KE KG KH KI KM KN
KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC
VE VG VI VN VU WF WS YE YT ZA ZM ZW
""".split()
"""Country codes: EL is Greece (there is no GR), NI is Northern Ireland (not Nicaragua)."""

COUNTY_COUNTRIES = "AU BG CA GB IE MX NI US".split()
"""Countries whose addresses have a county (Address Format City+County+Post Code)."""

INVOICE_ROUNDING = {
    "AED": ("0.25", "2:2"),
    "HUF": ("1", "2:2"),
    "IDR": ("1", "0:0"),
    "KES": ("0.5", "2:2"),
    "MZN": ("10", "0:0"),
    "NGN": ("1", "2:2"),
    "THB": ("1", "0:0"),
    "TND": ("0.01", "3:3"),
    "UGX": ("1", "0:0"),
    "BHD": ("0.001", "3:3"),
    "BIF": ("1", "0:0"),
    "CLF": ("0.0001", "4:4"),
    "CLP": ("1", "0:0"),
    "DJF": ("1", "0:0"),
    "GNF": ("1", "0:0"),
    "IQD": ("0.001", "3:3"),
    "JOD": ("0.001", "3:3"),
    "KMF": ("1", "0:0"),
    "KRW": ("1", "0:0"),
    "KWD": ("0.001", "3:3"),
    "LYD": ("0.001", "3:3"),
    "OMR": ("0.001", "3:3"),
    "PYG": ("1", "0:0"),
    "RWF": ("1", "0:0"),
    "UYI": ("1", "0:0"),
    "UYW": ("0.0001", "4:4"),
    "VND": ("1", "0:0"),
    "XAF": ("1", "0:0"),
    "XOF": ("1", "0:0"),
}
"""Currencies whose invoice rounding precision and decimal places are not 0.01 and 2:2."""

PAYMENT_TERMS = {
    "CM": ("Current Month", "CM"),
    "COD": ("Cash on delivery", "0D"),
    "1M(8D)": ("1 Month/2% 8 days", "1M", "8D", 2),
    **{f"{days} DAYS": (f"Net {days} days", f"{days}D") for days in (2, 7, 10, 14, 15, 21, 30, 60)},
}
"""Payment terms: description, due date, and for the one with a cash discount its date and percentage."""

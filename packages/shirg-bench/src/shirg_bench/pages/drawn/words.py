"""What drawn pages say: plausible words, names, dates and amounts, drawn from a generator."""

from __future__ import annotations

from datetime import date, timedelta

from numpy.random import Generator

_GOODS = """copper wire|steel bolts M8|paper roll A4|desk lamp|office chair|printer toner|garden hose|oak panel
ceramic tile|water filter|paint, white 5 l|door handle|work gloves|light bulb E27|cable drum|tool box|wall clock
steel shelf|glass jar|coffee beans 1 kg|green tea|rice 25 kg|olive oil|sea salt|sugar, brown|battery AA
phone charger|drill bit 6 mm|sand paper|wood screws|hand soap|floor cleaner"""
_PROSE = """
    the of and to in that for with as was on are by this from at which have been not were all more when there their
    into than can only other after about new some could time these two may first then any work must because well even
    year place great house number part general again point world state order public member report account service
    market system office company matter interest question result during letter several present meeting reason required
    department period increase amount however whether attention material local subject building country measure
    research method figure record notice method agreement delivery payment contract customer quarter annual budget
    schedule proposal section transport warehouse supplier quality standard shipment balance region council project
    """
_LAST = "Adler Brandt Castillo Dubois Evans Fischer Grant Haruka Ibsen Jensen Khan Lopez Meyer Novak Okafor"
_FIRST = "Anna Boris Clara David Elena Farid Grace Hugo Irene Jonas Karin Louis Maria Nadia Oscar Paula"
_STREETS = "Mill Road|Harbour Street|Station Lane|Park Avenue|Church Square|River Walk|Market Place"
_TOWNS = "Ashford Bergen Calais Delft Exeter Ghent Halden Izmir Kiel Leuven Malmo Nantes Oxford Porto"
_FIRMS = "Trading Supplies Hardware Logistics Stationery Foods Electric Interiors"
GOODS = tuple(_GOODS.replace("\n", "|").split("|"))
PROSE = tuple(_PROSE.split())
LAST, FIRST = tuple(_LAST.split()), tuple(_FIRST.split())
STREETS, TOWNS, FIRMS = tuple(_STREETS.split("|")), tuple(_TOWNS.split()), tuple(_FIRMS.split())


def pick(rng: Generator, words: tuple[str, ...]) -> str:
    """One of them."""
    return words[int(rng.integers(len(words)))]


def firm(rng: Generator) -> str:
    """A company's name."""
    return f"{pick(rng, LAST)} {pick(rng, FIRMS)} {pick(rng, ('Ltd', 'Inc', 'GmbH', 'Sdn Bhd'))}"


def person(rng: Generator) -> str:
    """A first and a last name."""
    return f"{pick(rng, FIRST)} {pick(rng, LAST)}"


def address(rng: Generator) -> tuple[str, str]:
    """Street and town."""
    return f"{rng.integers(1, 240)} {pick(rng, STREETS)}", f"{rng.integers(1000, 99999)} {pick(rng, TOWNS)}"


def day(rng: Generator) -> str:
    """A date in one of three notations."""
    then = date(2015, 1, 1) + timedelta(days=int(rng.integers(4000)))
    return then.strftime(pick(rng, ("%d/%m/%Y", "%Y-%m-%d", "%d.%m.%Y")))


def code(rng: Generator) -> str:
    """A number of a document, such as `KV-40213`."""
    letters = "".join(chr(65 + int(rng.integers(26))) for _ in range(2))
    return f"{letters}-{rng.integers(10_000, 99_999)}"


def money(cents: int) -> str:
    """`1,234.50`."""
    return f"{cents / 100:,.2f}"


def sentences(rng: Generator, words: int) -> str:
    """Running text of about so many words."""
    parts = []
    while words > 0:
        count = int(rng.integers(7, 16))
        chosen = [pick(rng, PROSE) for _ in range(count)]
        if rng.random() < 0.4:
            chosen[int(rng.integers(count))] = f"{rng.integers(2, 3000)}"
        parts.append(" ".join(chosen).capitalize() + ".")
        words -= count
    return " ".join(parts)

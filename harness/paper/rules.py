"""The paper's claims as rules: `harness/paper/claims.toml`, read and checked. A rule knows of no record.

A claim is made of statements, each of which a judge of `harness.paper.judges` turns into comparisons of two
networks. A network is named as the paper names it. A row is what the paper's table has several of: the
class weighting in Table 1, the checkpoint in Tables 3 and 4; Table 6 has none.
"""

import tomllib
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.config.protocol import validated
from harness.system.quantities import Frozen

Table = Literal["table1", "table3", "table4", "table6"]
Quantity = Literal[
    "G",
    "C",
    "mIoU",
    "BF",
    "inference_memory",
    "model_size",
    "forward",
    "backward",
    "decoder_storage",
    # shown beside others, never judged
    "decoder_bytes",
    "end_to_end",
    "weights",
]


class Subject(Frozen):
    """A network in a row of its table; the row is empty in Table 6."""

    network: str
    row: str = ""


class _Couples(Frozen):
    """Which networks: `higher` each with each of `lower`, or `pairs`, or `networks` each with itself.

    rows: in which of them, both networks in the same. higher_row, lower_row: in place of `rows`, one each.
    """

    higher: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    higher_row: str = ""
    lower_row: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [bool(self.higher and self.lower), bool(self.pairs), bool(self.networks)]
        if sum(ways) != 1 or bool(self.higher) != bool(self.lower):
            raise ValueError("give higher and lower, or pairs, or networks")
        if bool(self.rows) and bool(self.higher_row or self.lower_row):
            raise ValueError("give rows, or higher_row and lower_row")
        if bool(self.higher_row) != bool(self.lower_row):
            raise ValueError("higher_row and lower_row go together")
        if self.networks and not self.higher_row:
            raise ValueError("networks are compared with themselves: give higher_row and lower_row")
        return self

    def couples(self) -> list[tuple[Subject, Subject]]:
        """The one that should be higher and the one that should be lower, row by row."""
        named = [*self.pairs, *((name, name) for name in self.networks)]
        named += [(high, low) for low in self.lower for high in self.higher]
        rows = [(self.higher_row, self.lower_row)] if self.higher_row else [(row, row) for row in self.rows]
        return [
            (Subject(network=high, row=above), Subject(network=low, row=below))
            for above, below in rows or [("", "")]
            for high, low in named
        ]


class More(_Couples):
    """Each quantity of the one exceeds the other's."""

    judge: Literal["more"]
    quantities: tuple[Quantity, ...] = Field(min_length=1)


class Best(Frozen):
    """The best of `of` exceeds every one of `rest` in each quantity and row."""

    judge: Literal["best"]
    of: tuple[str, ...] = Field(min_length=1)
    rest: tuple[str, ...] = Field(min_length=1)
    rows: tuple[str, ...] = Field(min_length=1)
    quantities: tuple[Quantity, ...] = Field(min_length=1)


class Most(_Couples):
    """The lead of the one over the other is larger in `quantity` than in each of `quantities`."""

    judge: Literal["most"]
    quantity: Quantity
    quantities: tuple[Quantity, ...] = Field(min_length=1)


class Close(_Couples):
    """Each quantity of the two differs by no more than `margin`, in its unit."""

    judge: Literal["close"]
    quantities: tuple[Quantity, ...] = Field(min_length=1)
    margin: float = Field(gt=0)


class Times(_Couples):
    """Each quantity of the one is at least `factor` times the other's."""

    judge: Literal["times"]
    quantities: tuple[Quantity, ...] = Field(min_length=1)
    factor: float = Field(gt=0)


Statement = Annotated[More | Best | Most | Close | Times, Field(discriminator="judge")]


class Claim(Frozen):
    """A claim of the paper, and how it is judged.

    suite: whose records it is judged by. further_suites: others whose records are evidence too, such as one
    on a part of the data.
    """

    number: int = Field(ge=1)
    text: str
    table: Table
    suite: str
    further_suites: tuple[str, ...] = ()
    rule: str
    statements: tuple[Statement, ...] = Field(min_length=1)

    @property
    def suites(self) -> tuple[str, ...]:
        """All suites whose records are evidence."""
        return (self.suite, *self.further_suites)


class _File(Frozen):
    claim: tuple[Claim, ...]

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        numbers = [claim.number for claim in self.claim]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"claims are numbered from 1 without a gap, not {numbers}")
        return self


def claim_rules() -> tuple[Claim, ...]:
    """The paper's claims, by number.

    Raises:
        UserError: a rule that does not fit; one line that names the field.
    """
    text = (files("harness.paper") / "claims.toml").read_text("utf-8")
    return validated(_File, tomllib.loads(text), "claims.toml").claim

"""A value that was measured, or the reason why there is none. Importing it imports no torch."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Frozen(BaseModel):
    """A part of a record: fixed once it is made, of finite numbers, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Quantity(Frozen):
    """A number, or why there is none: exactly one of the two."""

    value: float | None = None
    reason: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a quantity has either a value or a reason for having none")
        return self


class NotMeasured(Frozen):
    """Stands where a value that is no single number would, with the reason for its absence."""

    reason: str = Field(min_length=1)

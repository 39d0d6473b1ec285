"""What every part of the configuration is made of."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration: unknown names are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

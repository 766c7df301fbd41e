"""The answer to a plan, as a type that the document describes: the planner writes it."""

from common.plans.answer import PlanAnswer

__all__ = ("PlanAnswer",)

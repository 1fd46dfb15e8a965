//! Pure decision: counts, agents, limits to a plan.

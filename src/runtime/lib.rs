//! The actors: coordinator, tasks, agents with the workers' inbox, janitors.

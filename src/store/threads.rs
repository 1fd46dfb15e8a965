//! On whose threads a store works.

/// On whose threads a store works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threads {
    /// Reads hop to blocking threads of the caller's tokio runtime, and the writer's loop wants a thread of its own.
    #[default]
    Own,
    /// Reads run where they are asked for, and somebody takes the writer's turns (see
    /// [`WriterLoop::turn`](crate::writer::WriterLoop::turn)): everything happens on one thread in one order, so that a
    /// simulation can play it again.
    Callers,
}

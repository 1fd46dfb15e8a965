//! The actix actor around a behaviour: it owns the behaviour and its factory, and survives both.
//!
//! **Invariant:** while `behaviour` is `None` the mailbox is frozen (`ctx.wait`) or the cell is gone, so no message
//! meets a half-built actor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, AsyncContext, Handler, Message};

use crate::entry::ActorState;
use crate::guard::{drop_guarded, guarded};
use crate::mailbox::{Answer, Ask, Look, Mailbox};
use crate::node::{Exit, Order, Owner};
use crate::slot::Slot;
use crate::work::{Done, Drive, WorkSet};
use crate::{Behaviour, Context, Fault, Handle, Registry, Restart};

/// Builds a behaviour, once for each incarnation.
pub(crate) type Factory<B> = Arc<dyn Fn() -> B + Send + Sync>;

/// What a behaviour asked for, done after the present message.
pub(crate) enum Wish {
    Stop,
    Fail(Arc<str>),
}

/// Why an incarnation is being wound up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Suspend,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Winding(Goal),
    Frozen,
    Gone,
}

/// The part of a cell that its behaviour reaches through the context.
pub(crate) struct Body<B: Behaviour> {
    pub(crate) slot: Arc<Slot<Mailbox<B>>>,
    pub(crate) mailbox: Arc<Mailbox<B>>,
    pub(crate) work: WorkSet<B>,
    pub(crate) wish: Option<Wish>,
}

/// See the module.
pub(crate) struct Cell<B: Behaviour> {
    behaviour: Option<B>,
    factory: Factory<B>,
    restart: Restart,
    owner: Owner,
    registry: Registry,
    phase: Phase,
    pub(crate) is_driven: bool,
    pub(crate) body: Body<B>,
}

/// Nothing in a cell is pinned in place.
impl<B: Behaviour> Unpin for Cell<B> {}

type ActixContext<B> = actix::Context<Cell<B>>;

impl<B: Behaviour> Cell<B> {
    pub(crate) fn new(
        body: Body<B>,
        factory: Factory<B>,
        restart: Restart,
        owner: Owner,
        registry: Registry,
    ) -> Self {
        Self {
            behaviour: None,
            factory,
            restart,
            owner,
            registry,
            phase: Phase::Frozen,
            is_driven: false,
            body,
        }
    }

    fn begin(&mut self, actix: &mut ActixContext<B>) {
        self.phase = Phase::Running;
        let entry = &self.body.mailbox.entry;
        if entry.begin_incarnation() {
            self.registry.count_restart(entry.kind);
        }
        let factory = &self.factory;
        match guarded(|| factory()) {
            Ok(behaviour) => {
                self.behaviour = Some(behaviour);
                self.enter(|behaviour, cx| behaviour.started(cx));
                self.settle(actix);
            }
            Err(text) => self.end(Exit::Failed(text), actix),
        }
    }

    /// Runs the behaviour's code. A panic becomes the wish to fail.
    fn enter(&mut self, act: impl FnOnce(&mut B, &mut Context<'_, B>)) {
        let mut cx = Context { body: &mut self.body };
        let outcome = match self.behaviour.as_mut() {
            Some(behaviour) => guarded(|| act(behaviour, &mut cx)),
            None => drop_guarded(act),
        };
        if let Err(text) = outcome {
            self.body.wish = Some(Wish::Fail(text));
        }
    }

    /// Draws the consequences of what the behaviour just did.
    fn settle(&mut self, actix: &mut ActixContext<B>) {
        match (self.body.wish.take(), self.phase) {
            (_, Phase::Frozen | Phase::Gone) => {}
            (Some(Wish::Fail(text)), _) => self.end(Exit::Failed(text), actix),
            (Some(Wish::Stop), _) => self.end(Exit::Normal, actix),
            (None, Phase::Winding(_)) if !self.body.work.has_work() => self.end(Exit::Normal, actix),
            (None, _) => {
                if !self.is_driven && !self.body.work.is_empty() {
                    self.is_driven = true;
                    actix.spawn(Drive);
                }
            }
        }
    }

    pub(crate) fn complete(&mut self, done: Done<B>, actix: &mut ActixContext<B>) {
        match done {
            Done::Nothing => {}
            Done::Then(then) => self.enter(then),
            Done::Panicked(text) => self.body.wish = Some(Wish::Fail(text)),
        }
        self.settle(actix);
    }

    fn deliver<M>(&mut self, msg: M, mut answer: Option<Answer<M::Result>>)
    where
        B: Handle<M>,
        M: Message,
    {
        let fault = self.body.mailbox.entry.take_fault();
        let waiting = &mut answer;
        self.enter(move |behaviour, cx| {
            let reply = match fault {
                None => behaviour.handle(msg, cx),
                Some(Fault::PanicInHandler) => Fault::PanicInHandler.commit(),
                Some(Fault::PanicInFuture) => crate::Reply::later(async { Fault::PanicInFuture.commit() }),
            };
            cx.settle(reply, waiting.take());
        });
        if let (Some(Wish::Fail(text)), Some(answer)) = (&self.body.wish, answer) {
            let _ = answer.send(Err(Arc::clone(text)));
        }
    }

    /// Ends the incarnation; what follows depends on orders and on the restart policy.
    fn end(&mut self, exit: Exit, actix: &mut ActixContext<B>) {
        if let Exit::Failed(text) = &exit {
            self.body.mailbox.entry.set_error(text);
        }
        self.drop_incarnation();
        match self.phase {
            // A failure on the way out changes nothing, but is told.
            Phase::Winding(Goal::Stop) => self.leave(exit.or_by_order(Exit::Stopped), actix),
            Phase::Winding(Goal::Suspend) => self.freeze(exit.or_by_order(Exit::Suspended), actix),
            Phase::Gone => {}
            Phase::Running | Phase::Frozen if self.restart.is_due(&exit) => self.freeze(exit, actix),
            Phase::Running | Phase::Frozen => self.leave(exit, actix),
        }
    }

    fn drop_incarnation(&mut self) {
        let dropped = self.body.work.drop_all().and(drop_guarded(self.behaviour.take()));
        if let Err(text) = dropped {
            self.body.mailbox.entry.set_error(&text);
        }
        self.body.wish = None;
    }

    fn freeze(&mut self, exit: Exit, actix: &mut ActixContext<B>) {
        self.phase = Phase::Frozen;
        self.body.mailbox.entry.set_state(ActorState::Restarting);
        actix.wait(Frozen);
        self.owner.tell(exit, false, Vec::new());
    }

    fn leave(&mut self, exit: Exit, actix: &mut ActixContext<B>) {
        self.phase = Phase::Gone;
        let entry = &self.body.mailbox.entry;
        entry.gate.close();
        entry.set_state(if matches!(exit, Exit::Failed(_)) {
            ActorState::Failed
        } else {
            ActorState::Stopped
        });
        self.owner.tell(exit, true, Vec::new());
        actix.stop();
    }

    fn obey(&mut self, goal: Goal, is_forced: bool, actix: &mut ActixContext<B>) {
        let was_winding = matches!(self.phase, Phase::Winding(_));
        if self.phase != Phase::Winding(Goal::Stop) {
            self.phase = Phase::Winding(goal);
        }
        self.body.mailbox.entry.set_state(ActorState::Stopping);
        if is_forced {
            return self.end(Exit::Normal, actix);
        }
        if !was_winding {
            if let Err(text) = self.body.work.drop_timers() {
                self.body.mailbox.entry.set_error(&text);
            }
            self.enter(Behaviour::draining);
        }
        self.settle(actix);
    }

    /// An order to a cell whose incarnation has ended. True: the cell is no longer frozen.
    fn obey_frozen(&mut self, order: Order, actix: &mut ActixContext<B>) -> bool {
        match order {
            Order::Restart => self.begin(actix),
            Order::Stop { .. } => self.leave(Exit::Stopped, actix),
            Order::Suspend { .. } => {
                self.owner.tell(Exit::Suspended, false, Vec::new());
                return false;
            }
        }
        true
    }
}

impl<B: Behaviour> Actor for Cell<B> {
    type Context = ActixContext<B>;

    fn started(&mut self, actix: &mut Self::Context) {
        self.begin(actix);
    }
}

impl<B, M> Handler<Ask<M>> for Cell<B>
where
    B: Handle<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    type Result = ();

    fn handle(&mut self, ask: Ask<M>, actix: &mut Self::Context) {
        self.body.mailbox.entry.gate.leave();
        let is_abandoned = ask.answer.as_ref().is_some_and(tokio::sync::oneshot::Sender::is_closed);
        if is_abandoned {
            if let Err(text) = drop_guarded(ask) {
                self.body.wish = Some(Wish::Fail(text));
            }
        } else {
            self.deliver(ask.msg, ask.answer);
        }
        self.settle(actix);
    }
}

impl<B: Behaviour> Handler<Look> for Cell<B> {
    type Result = ();

    fn handle(&mut self, _: Look, actix: &mut Self::Context) {
        while matches!(self.phase, Phase::Running | Phase::Winding(_))
            && let Some(order) = self.body.mailbox.orders.take()
        {
            match order {
                // A running cell needs none.
                Order::Restart => {}
                Order::Suspend { is_forced } => self.obey(Goal::Suspend, is_forced, actix),
                Order::Stop { is_forced } => self.obey(Goal::Stop, is_forced, actix),
            }
        }
        if self.phase == Phase::Running
            && let Some(fault) = self.body.mailbox.entry.take_fault()
        {
            self.enter(move |_, cx| match fault {
                Fault::PanicInHandler => fault.commit(),
                Fault::PanicInFuture => {
                    cx.settle::<()>(crate::Reply::later(async move { fault.commit() }), None)
                }
            });
            self.settle(actix);
        }
    }
}

impl<B: Behaviour> Drop for Cell<B> {
    fn drop(&mut self) {
        self.drop_incarnation();
        if self.phase != Phase::Gone {
            self.body.mailbox.entry.gate.close();
            self.body.mailbox.entry.set_state(ActorState::Failed);
            self.owner.tell(Exit::Failed(Arc::from("its arbiter ended")), true, Vec::new());
        }
    }
}

/// Holds the mailbox until the supervisor's verdict.
struct Frozen;

impl<B: Behaviour> ActorFuture<Cell<B>> for Frozen {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        cell: &mut Cell<B>,
        actix: &mut ActixContext<B>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        loop {
            match cell.body.mailbox.orders.poll_take(task) {
                Poll::Ready(order) => {
                    if cell.obey_frozen(order, actix) {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

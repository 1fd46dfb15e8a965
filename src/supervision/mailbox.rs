//! The outside of a cell: its registry entry, its address and the orders for it.

use actix::{Actor, Addr, Handler, Message};
use tokio::sync::oneshot;

use std::sync::Arc;

use crate::cell::Cell;
use crate::entry::Entry;
use crate::gate::Refusal;
use crate::node::{Node, Order, Orders};
use crate::{Behaviour, CallError, Handle};

/// Where the answer goes; an error is the text of the panic.
pub(crate) type Answer<R> = oneshot::Sender<Result<R, Arc<str>>>;

/// A message on its way, with the place for its answer if somebody waits for one.
pub(crate) struct Ask<M: Message> {
    pub(crate) msg: M,
    pub(crate) answer: Option<Answer<M::Result>>,
}

impl<M: Message> Message for Ask<M> {
    type Result = ();
}

/// Asks a cell to look at its orders once it has handled what is queued before.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Look;

/// All that others hold of a cell.
pub(crate) struct Mailbox<B: Behaviour> {
    pub(crate) entry: Entry,
    pub(crate) addr: Addr<Cell<B>>,
    pub(crate) orders: Orders,
}

impl<B: Behaviour> Mailbox<B> {
    /// Queues a message that holds its permit.
    pub(crate) fn post<M>(&self, ask: Ask<M>) -> Result<(), CallError>
    where
        B: Handle<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        // The queue is unbounded, so only a closed one refuses.
        self.addr.try_send(ask).map_err(|_| self.refusal(Refusal::Closed))
    }

    pub(crate) fn refusal(&self, refusal: Refusal) -> CallError {
        let path = self.entry.path();
        match refusal {
            Refusal::Full => CallError::Full { path, capacity: self.entry.gate.capacity() },
            Refusal::Closed => CallError::Closed { path },
        }
    }

    fn order(&self, order: Order) {
        self.orders.push(order);
        self.poke();
    }
}

impl<B: Behaviour> Node for Mailbox<B>
where
    Cell<B>: Actor<Context = actix::Context<Cell<B>>> + Handler<Look>,
{
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn restart(&self) {
        // Only a frozen cell restarts, and it reads its orders by itself.
        self.orders.push(Order::Restart);
    }

    fn suspend(&self, is_forced: bool) {
        self.order(Order::Suspend { is_forced });
    }

    fn stop(&self, is_forced: bool) {
        self.entry.gate.close();
        self.order(Order::Stop { is_forced });
    }

    fn poke(&self) {
        // A cell that is gone needs no look.
        let _ = self.addr.try_send(Look);
    }
}

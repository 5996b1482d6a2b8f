//! What the writer's thread is told to do, and how it waits for that.

use super::change::{Change, Changed};
use super::failure::ChangeError;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How many appends may wait for the writer; further ones wait to be accepted.
const WAITING_APPENDS: usize = 1024;

/// So long the writer looks for its next order before it sleeps, if the last one came as soon, and alone. Whoever appends one
/// event after the other is back by then, and finds the writer awake (ADR 0025).
const MOMENT: Duration = Duration::from_micros(250);

/// What the writer's thread is told to do.
#[derive(Debug)]
pub(super) enum Order {
    Change { change: Change, reply: Reply },
    Close { done: oneshot::Sender<()> },
}

/// What came of a change.
pub(super) type Outcome = Result<Changed, ChangeError>;
pub(super) type Reply = oneshot::Sender<Outcome>;

/// The orders that wait for the writer.
#[derive(Debug)]
pub(super) struct Inbox {
    orders: mpsc::Receiver<Order>,
    /// Whether the last order came within a [`MOMENT`].
    soon: bool,
    /// Whether no other one waited behind it.
    alone: bool,
}

impl Inbox {
    /// An empty one, and where to put orders in.
    pub(super) fn new() -> (mpsc::Sender<Order>, Self) {
        let (sender, orders) = mpsc::channel(WAITING_APPENDS);
        (sender, Self { orders, soon: false, alone: true })
    }

    /// The next order, as soon as there is one; nothing when nobody is left to give one.
    pub(super) fn next(&mut self) -> Option<Order> {
        let since = Instant::now();
        // Of many callers one is always soon, and staying awake for them takes from what they wait for.
        let awake = std::mem::replace(&mut self.alone, true) && self.soon;
        let mut next = self.orders.try_recv().ok();
        while awake && next.is_none() && since.elapsed() < MOMENT {
            // Whoever else has work for this core goes first.
            std::thread::yield_now();
            next = self.orders.try_recv().ok();
        }
        let next = next.or_else(|| self.orders.blocking_recv());
        self.soon = since.elapsed() < MOMENT;
        next
    }

    /// One that waits behind it, if there is one.
    pub(super) fn another(&mut self) -> Option<Order> {
        let another = self.orders.try_recv().ok();
        self.alone &= another.is_none();
        another
    }

    /// Takes no further ones. Those that wait are still given.
    pub(super) fn close(&mut self) {
        self.orders.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> (Order, oneshot::Receiver<()>) {
        let (done, closed) = oneshot::channel();
        (Order::Close { done }, closed)
    }

    #[test]
    fn whoever_comes_while_the_writer_is_awake_or_asleep_is_served_and_the_end_is_told() {
        let (sender, mut inbox) = Inbox::new();
        let writer = std::thread::spawn(move || {
            let mut served = 0;
            while inbox.next().is_some() {
                served += 1;
            }
            served
        });
        for pause in [Duration::ZERO, Duration::ZERO, MOMENT / 2, 4 * MOMENT, MOMENT / 2, 4 * MOMENT] {
            let (order, served) = order();
            let since = Instant::now();
            while since.elapsed() < pause {
                std::thread::yield_now();
            }
            sender.blocking_send(order).unwrap();
            assert!(served.blocking_recv().is_err(), "it was taken, and dropped");
        }
        drop(sender);
        assert_eq!(writer.join().unwrap(), 6);
    }
}

//! What the writer's thread is told to do, how it waits for that, and how the answer is waited for.

use super::change::{Change, Changed};
use super::failure::ChangeError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// How many appends may wait for the writer; further ones wait to be accepted.
const WAITING_APPENDS: usize = 1024;

/// So long the writer looks for its next order before it sleeps, if the last one came as soon, and alone. Whoever appends one
/// event after the other is back by then, and finds the writer awake. As long looks such a caller for its answer (ADR 0025).
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

/// Where orders for the writer are put in, and where it takes them out.
pub(super) fn orders() -> (Orders, Inbox) {
    let (sender, receiver) = mpsc::channel(WAITING_APPENDS);
    let awake = Arc::<AtomicBool>::default();
    (Orders { sender, awake: awake.clone() }, Inbox { receiver, awake, soon: false, alone: true })
}

/// Who gives orders to the writer.
#[derive(Debug)]
pub(super) struct Orders {
    sender: mpsc::Sender<Order>,
    /// Whether the writer stays awake.
    awake: Arc<AtomicBool>,
}

impl Orders {
    /// Has a change made, and waits for what comes of it.
    pub(super) async fn change(&self, change: Change) -> Outcome {
        let (reply, mut answer) = oneshot::channel();
        let awake = self.awake.load(Ordering::Relaxed);
        self.sender.send(Order::Change { change, reply }).await.map_err(|_| ChangeError::Closed)?;
        let since = Instant::now();
        while awake && since.elapsed() < MOMENT {
            match answer.try_recv() {
                Ok(outcome) => return outcome,
                // Whoever else has work for this core goes first, and then other calls.
                Err(TryRecvError::Empty) => {
                    std::thread::yield_now();
                    tokio::task::yield_now().await;
                }
                Err(TryRecvError::Closed) => return Err(ChangeError::Unknown),
            }
        }
        answer.await.map_err(|_| ChangeError::Unknown)?
    }

    /// Has the writer end when it has done what was ordered, and waits for that.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.sender.send(Order::Close { done }).await.is_ok() {
            // An error means that the writer has ended already, which is all we wait for.
            let _ = closed.await;
        }
    }
}

/// The orders that wait for the writer.
#[derive(Debug)]
pub(super) struct Inbox {
    receiver: mpsc::Receiver<Order>,
    awake: Arc<AtomicBool>,
    /// Whether the last order came within a [`MOMENT`].
    soon: bool,
    /// Whether nobody waited for the writer, before it or behind it.
    alone: bool,
}

impl Inbox {
    /// The next order, as soon as there is one; nothing when nobody is left to give one.
    pub(super) fn next(&mut self) -> Option<Order> {
        let since = Instant::now();
        // Of many callers one is always soon, and staying awake for them takes from what they wait for.
        let awake = self.alone && self.soon;
        self.awake.store(awake, Ordering::Relaxed);
        let mut next = self.receiver.try_recv().ok();
        // One that waits already is not of the caller who was answered just now.
        self.alone = next.is_none();
        while awake && next.is_none() && since.elapsed() < MOMENT {
            // Whoever else has work for this core goes first.
            std::thread::yield_now();
            next = self.receiver.try_recv().ok();
        }
        let next = next.or_else(|| self.sleep());
        self.soon = since.elapsed() < MOMENT;
        next
    }

    fn sleep(&mut self) -> Option<Order> {
        self.awake.store(false, Ordering::Relaxed);
        self.receiver.blocking_recv()
    }

    /// One that waits behind it, if there is one.
    pub(super) fn another(&mut self) -> Option<Order> {
        let another = self.receiver.try_recv().ok();
        self.alone &= another.is_none();
        another
    }

    /// Takes no further ones. Those that wait are still given.
    pub(super) fn close(&mut self) {
        self.receiver.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that only counts, and says in place of the position whether it was awake.
    fn writer(mut inbox: Inbox) {
        let mut revision = 0;
        while let Some(order) = inbox.next() {
            match order {
                Order::Change { reply, .. } => {
                    let position = inbox.awake.load(Ordering::Relaxed).then_some(0);
                    reply.send(Ok(Changed::Durable { revision: Some(revision), position })).unwrap();
                    revision += 1;
                }
                Order::Close { done } => {
                    inbox.close();
                    done.send(()).unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn what_became_of_a_change_is_unknown_when_the_writer_is_gone() {
        for awake in [true, false] {
            let (orders, mut inbox) = orders();
            inbox.awake.store(awake, Ordering::Relaxed);
            let (outcome, ()) = tokio::join!(orders.change(Change::append("a", [1])), async {
                while inbox.another().is_none() {
                    tokio::task::yield_now().await;
                }
            });
            assert!(matches!(outcome, Err(ChangeError::Unknown)), "{outcome:?}");
        }
    }

    #[test]
    fn for_several_callers_it_does_not_stay_awake() {
        let (orders, mut inbox) = orders();
        for _ in 0..2 * WAITING_APPENDS {
            let (reply, _answer) = oneshot::channel();
            orders.sender.try_send(Order::Change { change: Change::append("a", [1]), reply }).unwrap();
            inbox.next().unwrap();
            assert!(!inbox.awake.load(Ordering::Relaxed), "each waited already");
        }
        // And where one comes alone and soon, and another behind it.
        (inbox.alone, inbox.soon) = (true, true);
        for _ in 0..2 {
            let (reply, _answer) = oneshot::channel();
            orders.sender.try_send(Order::Change { change: Change::append("a", [1]), reply }).unwrap();
        }
        inbox.another().unwrap();
        inbox.next().unwrap();
        assert!(!inbox.awake.load(Ordering::Relaxed), "it came behind another");
    }

    #[tokio::test]
    async fn whoever_comes_while_the_writer_is_awake_or_asleep_is_answered_until_it_is_closed() {
        let (orders, inbox) = orders();
        let writer = std::thread::spawn(|| writer(inbox));
        let began = Instant::now();
        let mut answered = 0..;
        let mut found_awake = false;
        // On a machine that has much to do it may take some tries to come soon.
        while !found_awake {
            assert!(began.elapsed() < Duration::from_secs(60), "it never stays awake");
            for pause in [4 * MOMENT, Duration::ZERO, MOMENT / 4] {
                let since = Instant::now();
                while since.elapsed() < pause {
                    tokio::task::yield_now().await;
                }
                match orders.change(Change::append("a", [1])).await {
                    Ok(Changed::Durable { revision, position }) => {
                        assert_eq!(revision, answered.next());
                        found_awake |= position.is_some();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        orders.close().await;
        let after = orders.change(Change::append("a", [1])).await;
        assert!(matches!(after, Err(ChangeError::Closed)), "{after:?}");
        writer.join().unwrap();
    }
}

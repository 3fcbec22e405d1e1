//! One line for a state, in a trace.

use super::state::{Item, Lane, NONE, State, Task, WaiterAt};
use std::fmt;

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {}", tasks(&self.queue))?;
        for lane in &self.lanes {
            write!(f, " | {lane}")?;
        }
        for waiter in self.waiters.iter().filter(|waiter| waiter.at != WaiterAt::Away) {
            write!(f, " | {:?} {} at {}", waiter.at, waiter.task, waiter.lane)?;
        }
        write!(f, " | {:?}", &self.outcome[1..=self.submitted as usize])
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lane { process, segment, socket, driver } = self;
        write!(f, "{:?} {:?} over-{}", process.life, process.at, segment.unfinished)?;
        for (claim, table) in segment.claim.iter().zip(&driver.table) {
            write!(f, " {}/{}{}", claim.begun, claim.limit, tasks(table))?;
        }
        let up = socket.up.iter().filter(|item| **item != Item::Nothing).count();
        let ring = segment.ring.map(|reply| reply.task);
        write!(f, " down {}+{} up {up} ring {}; {:?}", socket.out, socket.down, tasks(&ring), driver.at)?;
        let flags = [
            (segment.doorbell, "doorbell"),
            (driver.event, "event"),
            (driver.idle, "idle"),
            (process.unannounced, "unannounced"),
            (socket.closed, "closed"),
            (driver.kill_sent, "kill_sent"),
            (process.signal != NONE, "signalled"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| write!(f, " {name}"))
    }
}

fn tasks(tasks: &[Task]) -> String {
    let digits: String =
        tasks.iter().filter(|&&task| task != NONE).map(|task| char::from(b'0' + task)).collect();
    format!("[{digits}]")
}

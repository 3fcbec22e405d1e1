//! Requests to stop, kills and signals: what is asked of a lane's worker besides work.

use super::{KillReason, Lane, Position, TaskKill};
use crate::id::FutureId;
use crate::process_pool::shared::claim::slot;
use crate::process_pool::sys::Signal;

impl Lane {
    /// Its driver is to look at requests to kill or at a signal.
    pub(crate) fn has_kills(&self) -> bool {
        (!self.kills.is_empty() && self.kill_reason.is_none()) || self.pending_signal.is_some()
    }

    /// Asks a task that has begun to stop; none if it has not begun, false if its worker is gone.
    pub(crate) fn ask_to_stop(&self, position: Position) -> Option<bool> {
        if !self.has_begun(position) {
            return None;
        }
        let Position { batch, index } = position;
        let task = self.batches[slot(batch)].tasks.get(index as usize)?.as_ref()?;
        task.note_asked();
        self.segment.iter().for_each(|segment| segment.claim(batch).ask(batch, index));
        Some(self.segment.is_some())
    }

    /// Asks all that have begun.
    pub(crate) fn ask_all_to_stop(&self) {
        let running: Vec<Position> = self.running_at().map(|(position, _)| position).collect();
        for position in running {
            let _ = self.ask_to_stop(position);
        }
    }

    pub(crate) fn kill_reason(&self) -> Option<&KillReason> {
        self.kill_reason.as_ref()
    }

    pub(crate) fn take_kill_reason(&mut self) -> Option<KillReason> {
        self.kill_reason.take()
    }

    /// It is killed, and why. A worker that is killed for a task closes its stream as well: that is no other reason.
    pub(crate) fn set_kill_reason(&mut self, reason: KillReason) {
        if !matches!(self.kill_reason, Some(KillReason::ForTask(..))) {
            self.kill_reason = Some(reason);
        }
    }

    /// Asks for the end of a running task; false if it doesn't run.
    pub(crate) fn request_kill(&mut self, id: FutureId, position: Position, kill: TaskKill) -> bool {
        let runs = self.has_begun(position);
        if runs {
            self.kills.push((id, kill));
        }
        runs
    }

    /// Where the running task is that is to be ended, if that is for its time limit alone.
    pub(crate) fn out_of_time(&self) -> Option<Position> {
        let running = self.kills.iter().filter_map(|(id, kill)| Some((self.find(*id)?, *kill)));
        let running: Vec<(Position, TaskKill)> = running.collect();
        let for_time = running.iter().all(|(_, kill)| *kill == TaskKill::OutOfTime);
        running.first().filter(|_| for_time).map(|(position, _)| *position)
    }

    /// Takes the requests to kill. The worker is killed if one is for a task that still runs.
    pub(crate) fn confirm_kill(&mut self) -> bool {
        let kills = std::mem::take(&mut self.kills);
        let still_runs = kills.into_iter().find(|(id, _)| self.find(*id).is_some());
        if let Some((id, kill)) = still_runs {
            self.kill_reason.get_or_insert(KillReason::ForTask(id, kill));
        }
        self.kill_reason.is_some()
    }

    pub(crate) fn set_signal(&mut self, signal: Signal) {
        self.pending_signal = Some(signal);
    }

    pub(crate) fn take_signal(&mut self) -> Option<Signal> {
        self.pending_signal.take()
    }

    pub(crate) fn has_signal(&self) -> bool {
        self.pending_signal.is_some()
    }
}

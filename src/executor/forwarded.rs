//! [`Task::forward`]: a parcel of another process, as a task of this one.

use super::task::Task;
use crate::blob::{self, Held};
use crate::error::TaskError;
use crate::future::Future;
use crate::future::work::Work;
use crate::remote::codec::{Arrived, Output};
use crate::remote::parcel::{Parcel, Route};
use crate::remote::{self, Reply};

impl Task {
    /// A task that runs another process's parcel: for whoever stands between that process and the executor, as the node of a
    /// cluster does with a pool of processes of its own. Its result is for
    /// [`ReturnAddress::reply`](crate::remote::ReturnAddress::reply).
    ///
    /// A panic or an error of the call is in the [`Reply`]; the future fails only for what the executor knows: that the worker
    /// died, that the time limit was reached.
    ///
    /// # Safety
    ///
    /// As for [`remote::execute`]: a parcel can name any function of the program with any argument.
    ///
    /// # Examples
    ///
    /// ```
    /// use concurrent_futures::{Parcel, Task, prelude::*};
    ///
    /// // One process has a task and sends it,
    /// let (mut task, future) = Task::new(|n: u32| n + 1, 41);
    /// let sent = task.encode()?.into_bytes();
    /// // another one receives it and has a pool run it,
    /// let pool = ProcessPoolExecutor::new(1);
    /// let parcel = Parcel::from_bytes(sent)?;
    /// let address = parcel.return_address();
    /// // SAFETY: this process has just made the parcel.
    /// let (forwarded, reply) = unsafe { Task::forward(parcel) };
    /// pool.execute(forwarded);
    /// let answer = address.reply(reply.result());
    /// // and the first one has the answer.
    /// task.complete(&answer);
    /// assert_eq!(future.result()?, 42);
    /// # Ok::<(), concurrent_futures::TaskError>(())
    /// ```
    pub unsafe fn forward(parcel: Parcel) -> (Task, Future<Reply>) {
        Task::from_work(Forwarded { parcel })
    }
}

/// A parcel of another process.
struct Forwarded {
    parcel: Parcel,
}

impl Work<Reply> for Forwarded {
    fn call(self) -> Result<Reply, TaskError> {
        let mut reply = Output::default();
        let (bytes, blobs) = self.parcel.split();
        let _held: Vec<Held> = blobs.iter().cloned().map(blob::hold).collect();
        // SAFETY: whoever made this has promised it, see `Task::forward`.
        unsafe { remote::execute_into(bytes, &mut reply) };
        Ok(Reply::of_bytes(reply.into_parts().0))
    }

    const IS_PORTABLE: bool = true;

    fn encode(&self, out: &mut Output) -> Result<Route, TaskError> {
        let (route, argument) = self.parcel.call()?;
        out.extend_from_slice(argument);
        self.parcel.split().1.iter().for_each(|blob| {
            // A task is being encoded.
            blob::attach(blob);
        });
        // The reply goes on as it is, to where nothing that lies apart can be found.
        out.is_for_elsewhere = true;
        Ok(route)
    }

    fn decode(outcome: Arrived<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::of_outcome(outcome))
    }
}

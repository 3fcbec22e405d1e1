//! [`Times`]: when a task began and ended, by its worker's clock. Behind a reply, where the pool has an observer.

use crate::process_pool::wire::message::ProtocolError;

/// Nanoseconds of the clock that all processes of the machine share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// Bytes that they take.
const LEN: usize = 16;

impl Times {
    pub(crate) fn append_to(self, reply: &mut Vec<u8>) {
        reply.extend(self.began.to_le_bytes());
        reply.extend(self.ended.to_le_bytes());
    }

    /// Parts them from the reply that they stand behind.
    pub(crate) fn part(reply: &[u8]) -> Result<(&[u8], Times), ProtocolError> {
        let cut = ProtocolError("a reply without its times");
        let (reply, times) = reply.split_last_chunk::<LEN>().ok_or(cut)?;
        let word = |at: usize| times[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
        Ok((reply, Times { began: word(0), ended: word(8) }))
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn they_stand_behind_a_reply() {
        let mut reply = b"reply".to_vec();
        let times = Times { began: 7, ended: u64::MAX };
        times.append_to(&mut reply);
        assert_eq!(Times::part(&reply), Ok((&b"reply"[..], times)));
        assert!(Times::part(b"too short").is_err());
    }
}

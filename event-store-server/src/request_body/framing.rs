//! Where messages begin and end in a body: five bytes say how long the next one is.

use tonic::Status;

/// A byte that says whether the message is compressed, and its length in four.
const HEADER: usize = 5;

/// How far a body has come.
#[derive(Debug)]
pub(super) struct Framing {
    max_message: usize,
    header: [u8; HEADER],
    /// So much of a header has come.
    filled: usize,
    /// What the message that has begun has in all, and what of that has not come.
    message: usize,
    left: usize,
}

impl Framing {
    pub(super) fn new(max_message: usize) -> Self {
        Self { max_message, header: [0; HEADER], filled: 0, message: 0, left: 0 }
    }

    /// Goes on through what has come. Tells whether a message began in it.
    pub(super) fn pass(&mut self, mut data: &[u8]) -> Result<bool, Status> {
        let mut began = false;
        while !data.is_empty() {
            if self.left > 0 {
                let come = self.left.min(data.len());
                self.left -= come;
                data = &data[come..];
                continue;
            }
            began |= self.filled == 0;
            let come = (HEADER - self.filled).min(data.len());
            self.header[self.filled..self.filled + come].copy_from_slice(&data[..come]);
            self.filled += come;
            data = &data[come..];
            if self.filled == HEADER {
                let [_, length @ ..] = self.header;
                self.message = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                (self.filled, self.left) = (0, self.message);
                if self.message > self.max_message {
                    return Err(Status::resource_exhausted(format!(
                        "The message has {} bytes; at most {} are allowed.",
                        self.message, self.max_message
                    )));
                }
            }
        }
        Ok(began)
    }

    /// How large the message is of which not all has come, if there is one. Of one whose length has not come, that is nothing.
    pub(super) fn unfinished(&self) -> Option<usize> {
        match (self.left, self.filled) {
            (0, 0) => None,
            (0, _) => Some(0),
            _ => Some(self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let body = [&[0, 0, 0, 1, 2][..], &[7; 258], &[0; 5], &[1, 0, 0, 0, 1, 7]].concat();
        let mut at_once = Framing::new(300);
        assert!(at_once.pass(&body).unwrap());
        assert_eq!(at_once.unfinished(), None);
        for size in 1..body.len() {
            let mut framing = Framing::new(300);
            let mut passed = 0;
            for part in body.chunks(size) {
                let began = framing.pass(part).unwrap();
                let begins = [0, 263, 268].iter().any(|begin| (passed..passed + part.len()).contains(begin));
                passed += part.len();
                assert_eq!(began, begins, "{size} {passed}");
                let unfinished = match passed {
                    263 | 268 | 274 => None,
                    1..=4 | 264..=267 | 269..=272 => Some(0),
                    5..=262 => Some(258),
                    _ => Some(1),
                };
                assert_eq!(framing.unfinished(), unfinished, "{size} {passed}");
            }
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_by_its_length_alone() {
        let status = Framing::new(300).pass(&[0, 0, 0, 1, 45]).unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("301 bytes; at most 300"), "{status}");
    }
}

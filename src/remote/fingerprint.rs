//! [`Fingerprint`]: which build of which executable a process runs.

use super::executable::{IMAGE, own_file};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::OnceLock;

/// Names one build of one executable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Fingerprint([u8; Self::LEN]);

impl Fingerprint {
    /// That of a GNU build-id, a SHA-1.
    pub(crate) const LEN: usize = 20;

    /// This executable's: its build-id where the linker made one, else a checksum of what the system loads of its file.
    /// Neither a name nor a time is part of it: a program that was renamed, replaced, copied or touched is the same.
    pub(crate) fn own() -> Self {
        OWN.get().copied().unwrap_or_else(Fingerprint::find)
    }

    /// Made when it is first needed: most programs have a build-id, and many that have none never need it.
    #[cold]
    fn find() -> Self {
        if let Some(id) = &IMAGE.build_id {
            return *OWN.get_or_init(|| Fingerprint::of_build_id(id));
        }
        match Fingerprint::of_contents() {
            Ok(found) => *OWN.get_or_init(|| found),
            // A program that may be run and not be read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                *OWN.get_or_init(Fingerprint::of_identity)
            }
            // For want of descriptors, say: next time it may be there.
            Err(_) => Fingerprint::of_identity(),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    fn of_build_id(id: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        // Longer ones exist (`--build-id=sha256`): folded, every byte counts.
        for (at, byte) in id.iter().enumerate() {
            bytes[at % Self::LEN] ^= byte;
        }
        Fingerprint(bytes)
    }

    /// From the file and not from memory, which relocations, the program itself and debuggers change.
    fn of_contents() -> io::Result<Self> {
        let mut sum = Checksum::default();
        // There the file is found by its name, which may have been given to another build since this one was loaded.
        #[cfg(windows)]
        sum.add(&IMAGE.identity);
        sum.add_file(&IMAGE.parts)?;
        Ok(sum.finish())
    }

    /// Which file it is, which doesn't change while it runs, and how long.
    fn of_identity() -> Self {
        let mut sum = Checksum::default();
        #[cfg(windows)]
        sum.add(&IMAGE.identity);
        if let Ok(meta) = own_file().and_then(std::fs::metadata) {
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                sum.add(&meta.dev().to_le_bytes());
                sum.add(&meta.ino().to_le_bytes());
            }
            #[cfg(windows)]
            {
                use std::os::windows::fs::MetadataExt;
                sum.add(&meta.creation_time().to_le_bytes());
                sum.add(&meta.last_write_time().to_le_bytes());
            }
            sum.add(&meta.len().to_le_bytes());
        }
        sum.finish()
    }
}

/// Names one build of one executable: the same in every process that runs the very same file, whatever it is called and
/// wherever it lies.
///
/// It is the build-id that the linker made, or a checksum of what the system loads of the file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuildId(Fingerprint);

/// The build of this executable.
///
/// # Examples
///
/// ```
/// let build = concurrent_futures::remote::build_id();
/// assert_eq!(build.to_string().len(), 40);
/// ```
pub fn build_id() -> BuildId {
    BuildId(Fingerprint::own())
}

/// Forty hexadecimal digits.
impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

static OWN: OnceLock<Fingerprint> = OnceLock::new();

/// A checksum against mistakes, not against forgery. Each step can be undone, so two files that differ in one word differ
/// in each half of the sum.
struct Checksum {
    halves: [u64; 2],
    len: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        // Digits of pi.
        Checksum { halves: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], len: 0 }
    }
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        // Digits of pi again, made odd: multiplying by them loses nothing.
        const FACTORS: [u64; 2] = [0xa409_3822_299f_31d1, 0x082e_fa98_ec4e_6c89];
        self.len = self.len.wrapping_add(bytes.len() as u64);
        let mix = |half: u64, word: [u8; 8], factor: u64| {
            let mixed = (half ^ u64::from_le_bytes(word)).wrapping_mul(factor);
            mixed ^ (mixed >> 29)
        };
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(last);
        // Written out: a program that isn't optimised may have tens of megabytes, and each worker adds them up.
        let [mut one, mut other] = self.halves;
        for word in words.iter().chain(&last) {
            one = mix(one, *word, FACTORS[0]);
            other = mix(other, *word, FACTORS[1]);
        }
        self.halves = [one, other];
    }

    /// These parts of the program's file, or all of it if there are none.
    fn add_file(&mut self, parts: &[Range<u64>]) -> io::Result<()> {
        let mut file = File::open(own_file()?)?;
        let all = 0..u64::MAX;
        let parts = if parts.is_empty() { std::slice::from_ref(&all) } else { parts };
        let mut buffer = vec![0; 64 << 10];
        for part in parts {
            file.seek(SeekFrom::Start(part.start))?;
            let mut left = part.end - part.start;
            while left > 0 {
                let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                // Filled if it can be, so that a sum doesn't depend on how many bytes a read gives.
                let mut got = 0;
                while got < most {
                    match file.read(&mut buffer[got..most]) {
                        Ok(0) => break,
                        Ok(more) => got += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                self.add(&buffer[..got]);
                if got < most {
                    break;
                }
                left -= got as u64;
            }
        }
        Ok(())
    }

    fn finish(&self) -> Fingerprint {
        let mut bytes = [0; Fingerprint::LEN];
        bytes[..8].copy_from_slice(&self.halves[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&self.halves[1].to_le_bytes());
        bytes[16..].copy_from_slice(&(self.len as u32).to_le_bytes());
        Fingerprint(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Checksum, Fingerprint, IMAGE};

    #[test]
    fn the_fingerprint_is_known() {
        assert_ne!(Fingerprint::own().as_bytes(), &[0; Fingerprint::LEN]);
    }

    #[test]
    fn without_a_build_id_the_contents_are_known() {
        let contents = || Fingerprint::of_contents().expect("it can be read");
        let one = contents();
        assert_eq!(one, contents());
        // What is loaded was read, and nothing else: with its debug information the file is longer.
        let loaded: u64 = IMAGE.parts.iter().map(|part| part.end - part.start).sum();
        assert!(loaded > 1 << 16, "{:?}", IMAGE.parts);
        assert_eq!(one.as_bytes()[16..], (loaded as u32).to_le_bytes());
    }

    #[test]
    fn each_byte_and_the_length_count() {
        let sum = |bytes: &[u8]| {
            let mut sum = Checksum::default();
            sum.add(bytes);
            sum.finish()
        };
        let bytes: Vec<u8> = (0..100).collect();
        let mut seen = vec![sum(&bytes)];
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            seen.push(sum(&other));
            seen.push(sum(&bytes[..at]));
        }
        seen.push(sum(&[&bytes[..], &[0]].concat()));
        for (at, one) in seen.iter().enumerate() {
            assert!(seen[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }
}

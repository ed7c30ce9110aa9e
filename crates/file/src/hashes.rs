//! The hashes of a file, taken as its octets pass.

use core::fmt;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::io::{self, Read};

/// Octets that are read or written at once, where that is for us to choose.
pub const PIECE: usize = 256 * 1024;

/// MD5 (XEP-0096) and SHA-256, each only when wanted.
#[derive(Clone, Default)]
pub(super) struct Hashes {
    md5: Option<Md5>,
    sha256: Option<Sha256>,
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashes")
            .field("md5", &self.md5.is_some())
            .field("sha256", &self.sha256.is_some())
            .finish()
    }
}

impl Hashes {
    pub(super) fn new(md5: bool, sha256: bool) -> Self {
        Self {
            md5: md5.then(Md5::new),
            sha256: sha256.then(Sha256::new),
        }
    }

    /// Says whether there is anything to compute.
    pub(super) fn any(&self) -> bool {
        self.md5.is_some() || self.sha256.is_some()
    }

    /// Says whether a SHA-256 is among them.
    pub(super) fn sha256(&self) -> bool {
        self.sha256.is_some()
    }

    pub(super) fn update(&mut self, octets: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(octets);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(octets);
        }
    }

    /// Takes in the next `length` octets of a reader.
    ///
    /// # Errors
    /// Those of the reader, and `UnexpectedEof` when it ends too early.
    pub(super) fn read(&mut self, reader: &mut impl Read, mut length: u64) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        while length > 0 {
            let want = usize::try_from(length).map_or(PIECE, |n| n.min(PIECE));
            let got = match reader.read(&mut piece[..want]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.update(&piece[..got]);
            length -= got as u64;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Option<[u8; 16]>, Option<[u8; 32]>) {
        (
            self.md5.map(|h| h.finalize().into()),
            self.sha256.map(|h| h.finalize().into()),
        )
    }
}

/// Writes octets in lower-case hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    octets
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_whole_input() {
        let mut hashes = Hashes::new(true, true);
        hashes.update(b"a");
        hashes.read(&mut &b"bcd"[..], 2).unwrap();
        let (md5, sha256) = hashes.finish();
        assert_eq!(hex(&md5.unwrap()), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            hex(&sha256.unwrap()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn an_early_end_is_an_error() {
        let error = Hashes::new(true, false)
            .read(&mut &b"ab"[..], 3)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

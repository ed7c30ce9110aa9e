//! A file that is sent.

use super::SourceError;
use super::hashes::Hashes;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that is to be sent.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    name: String,
    size: u64,
    modified: Option<SystemTime>,
}

impl Source {
    /// Opens a regular file.
    ///
    /// # Errors
    /// A directory, something without a size, and those of the file system.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = path.into();
        // Opening a pipe would wait for its other end.
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(source) => return Err(SourceError::Io { path, source }),
        };
        if meta.is_dir() {
            return Err(SourceError::Directory(path));
        }
        if !meta.is_file() {
            return Err(SourceError::NotRegular(path));
        }
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (meta, file): (Metadata, File) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(SourceError::Io { path, source }),
        };
        let name = path
            .file_name()
            .map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self {
            name,
            size: meta.len(),
            modified: meta.modified().ok(),
            file,
            path,
        })
    }

    /// The last component of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size in octets.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When it was changed last.
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all of it for its MD5 (XEP-0096).
    ///
    /// # Errors
    /// Those of the file system.
    pub fn md5(&mut self) -> Result<[u8; 16], SourceError> {
        let mut hashes = Hashes::new(true, false);
        self.through(&mut hashes, self.size)?;
        Ok(hashes.finish().0.unwrap_or_default())
    }

    /// Begins to read at an offset, `length` octets at most. A SHA-256 is of the whole file, so
    /// what stands before the offset is read for it here.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read_from(
        mut self,
        offset: u64,
        length: Option<u64>,
        sha256: bool,
    ) -> Result<Reading, SourceError> {
        let offset = offset.min(self.size);
        let left = length.map_or(self.size - offset, |n| n.min(self.size - offset));
        let mut hashes = Hashes::new(false, sha256);
        if hashes.any() {
            self.through(&mut hashes, offset)?;
        }
        self.file
            .seek(SeekFrom::Start(offset))
            .map_err(|e| self.failed(e))?;
        Ok(Reading {
            source: self,
            left,
            hashes,
        })
    }

    fn through(&mut self, hashes: &mut Hashes, length: u64) -> Result<(), SourceError> {
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| hashes.read(&mut self.file, length))
            .map_err(|e| self.failed(e))
    }

    fn failed(&self, source: std::io::Error) -> SourceError {
        if source.kind() == std::io::ErrorKind::UnexpectedEof {
            return SourceError::Changed(self.path.clone());
        }
        SourceError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// A file that is being sent.
#[derive(Debug)]
pub struct Reading {
    source: Source,
    left: u64,
    hashes: Hashes,
}

impl Reading {
    /// How many octets are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Says whether a hash is taken of what is read.
    pub fn hashes(&self) -> bool {
        self.hashes.any()
    }

    /// Reads the next octets; 0 is the end of what was declared.
    ///
    /// # Errors
    /// A file that ends before its declared size, and those of the file system.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |n| n.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..want).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        loop {
            match self.source.file.read(buffer) {
                Ok(0) => return Err(SourceError::Changed(self.source.path.clone())),
                Ok(got) => {
                    self.hashes.update(&buffer[..got]);
                    self.left -= got as u64;
                    return Ok(got);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.source.failed(e)),
            }
        }
    }

    /// Checks that the file is still the one that was offered. Answers its SHA-256, if asked for
    /// and read to the end.
    ///
    /// # Errors
    /// A size or modification time other than at the beginning.
    pub fn finish(self) -> Result<Option<[u8; 32]>, SourceError> {
        let meta = match self.source.file.metadata() {
            Ok(meta) => meta,
            Err(e) => return Err(self.source.failed(e)),
        };
        if meta.len() != self.source.size || meta.modified().ok() != self.source.modified {
            return Err(SourceError::Changed(self.source.path));
        }
        Ok(self.hashes.finish().1.filter(|_| self.left == 0))
    }
}

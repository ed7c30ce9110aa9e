//! A file that is being received.

use super::StoreError;
use super::claim::{Claim, Wanted};
use super::hashes::{Hashes, PIECE};
use super::store::{Incoming, Keep, NAMES, Store};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::SystemTime;
use tempfile::TempPath;

/// How much is written before it is synced on the side, so that the sync at the end, which the peer
/// waits for, is short.
const SYNC_EVERY: u64 = 64 << 20;

/// A file that is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where.
    pub path: PathBuf,
    /// Its size in octets.
    pub size: u64,
    /// Its SHA-256, if [`super::Keep::sha256`] asked for it.
    pub sha256: Option<[u8; 32]>,
}

/// A file that is being received, under a name of its own and locked.
///
/// Dropped unfinished it is kept when the transfer may be resumed and has octets, and removed
/// otherwise.
#[derive(Debug)]
pub struct Partial {
    store: Store,
    path: PathBuf,
    file: File,
    name: String,
    declared: Option<u64>,
    most: Option<u64>,
    md5: Option<[u8; 16]>,
    modified: Option<SystemTime>,
    hashes: Hashes,
    buffer: Vec<u8>,
    offset: u64,
    /// Octets so far, those in the buffer among them.
    length: u64,
    /// Whether the disk has everything before the file is in place.
    durable: bool,
    /// Octets written since a sync on the side began.
    unsynced: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
    fate: Fate,
    /// Let go of after the file.
    claim: Claim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Remove,
    Keep,
    /// In place under its final name.
    Done,
}

impl Partial {
    pub(super) fn new(
        store: &Store,
        file: File,
        path: PathBuf,
        incoming: &Incoming<'_>,
        keep: Keep,
        hashes: Hashes,
        offset: u64,
    ) -> Self {
        Self {
            store: store.clone(),
            claim: store.claim(&path),
            path,
            file,
            name: incoming.name.to_owned(),
            declared: incoming.size,
            most: incoming.size.or(keep.max_size),
            md5: incoming.md5,
            modified: incoming.modified,
            hashes,
            buffer: Vec::new(),
            offset,
            length: offset,
            durable: !keep.unsynced,
            unsynced: 0,
            syncing: None,
            fate: if keep.resume {
                Fate::Keep
            } else {
                Fate::Remove
            },
        }
    }

    /// How many octets an earlier attempt left: the transfer goes on from here.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many octets of the file there are, the earlier ones among them.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Says whether there is no octet of the file yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Says when another transfer of the same file wants to go on with what this one has.
    pub fn wanted(&self) -> Wanted {
        self.claim.wanted()
    }

    /// Says whether hashes are taken of what is written.
    pub fn hashes(&self) -> bool {
        self.hashes.any()
    }

    /// The partial file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Throws away what there is: the transfer starts from 0, as when the peer refuses the range.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.buffer.clear();
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(|e| StoreError::io("empty", &self.path, e))?;
        self.hashes = Hashes::new(self.md5.is_some(), self.hashes.sha256());
        self.offset = 0;
        self.length = 0;
        Ok(())
    }

    /// Goes back to where this attempt began, as when the stream fell back and all is sent again.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn rewind(&mut self) -> Result<(), StoreError> {
        self.buffer.clear();
        let mut hashes = Hashes::new(self.md5.is_some(), self.hashes.sha256());
        self.file
            .set_len(self.offset)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| {
                if hashes.any() {
                    hashes.read(&mut self.file, self.offset)
                } else {
                    self.file.seek(SeekFrom::Start(self.offset)).map(|_| ())
                }
            })
            .map_err(|e| StoreError::io("rewind", &self.path, e))?;
        self.hashes = hashes;
        self.length = self.offset;
        Ok(())
    }

    /// Appends octets. They reach the file in pieces of 256 KiB, the rest at
    /// [`Partial::flush`] or [`Partial::finish`].
    ///
    /// # Errors
    /// More octets than were declared or are taken: then all of it is given up, since a peer that ignores the
    /// range sends the file's beginning again. A full disk and others of the file system.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.take_in(octets)?;
        if self.buffer.is_empty() && octets.len() >= PIECE {
            return self.append(octets);
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(PIECE);
        }
        let room = PIECE - self.buffer.len();
        let (now, later) = octets.split_at(octets.len().min(room));
        self.buffer.extend_from_slice(now);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        if later.len() >= PIECE {
            return self.append(later);
        }
        self.buffer.extend_from_slice(later);
        Ok(())
    }

    /// Appends octets and hands them to the operating system, as [`Partial::write`] and
    /// [`Partial::flush`] do, without a buffer of this file's own.
    ///
    /// # Errors
    /// Those of [`Partial::write`].
    pub fn write_through(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.take_in(octets)?;
        self.append(octets)
    }

    /// Counts and hashes octets that are about to be written.
    fn take_in(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        let length = self.length + octets.len() as u64;
        if let Some(most) = self.most.filter(|&most| length > most) {
            self.fate = Fate::Remove;
            return Err(match self.declared {
                Some(declared) => StoreError::TooLong { declared },
                None => StoreError::TooLarge { most },
            });
        }
        self.hashes.update(octets);
        self.length = length;
        Ok(())
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// A full disk and others of the file system.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        let buffer = core::mem::take(&mut self.buffer);
        let result = self.append(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    /// Checks the hash once all that was declared is here, so that the last octets of another file
    /// are not acknowledged: many senders take that for the end. Does nothing before, and where an
    /// earlier attempt left octets, since a peer that ignores the range is known by what follows.
    ///
    /// # Errors
    /// Another hash: then what there is gets removed.
    pub fn check_if_whole(&mut self) -> Result<(), StoreError> {
        if self.offset > 0 || self.declared != Some(self.length) {
            return Ok(());
        }
        let (md5, _) = self.hashes.clone().finish();
        self.check(md5)
    }

    fn check(&mut self, md5: Option<[u8; 16]>) -> Result<(), StoreError> {
        if self.md5.is_some() && md5 != self.md5 {
            self.fate = Fate::Remove;
            return Err(StoreError::Hash);
        }
        Ok(())
    }

    /// Syncs and checks the file, and puts it in place: under its name, or `name (1).ext` and so
    /// on where there is such a file already.
    ///
    /// # Errors
    /// Another size than declared, another hash (then what there is gets removed, so that the next
    /// attempt starts from 0), and those of the file system. Nothing is left under the final name.
    pub fn finish(self) -> Result<Stored, StoreError> {
        self.finish_as(NAMES)
    }

    /// As [`Partial::finish`], but under its name or not at all.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where there is such a file already, and those of [`Partial::finish`].
    pub fn finish_by_name(self) -> Result<Stored, StoreError> {
        self.finish_as(1)
    }

    fn finish_as(mut self, names: u32) -> Result<Stored, StoreError> {
        self.flush()?;
        if let Some(declared) = self.declared.filter(|&declared| declared != self.length) {
            return Err(StoreError::TooShort {
                declared,
                got: self.length,
            });
        }
        let (md5, sha256) = core::mem::take(&mut self.hashes).finish();
        self.check(md5)?;
        self.file
            .set_permissions(self.store.permissions())
            .map_err(|e| StoreError::io("set the mode of", &self.path, e))?;
        if let Some(at) = self.modified {
            // Not every file system takes every date, and the file is whole without it.
            let _ = self.file.set_modified(at);
        }
        self.sync()?;
        let path = self.put_in_place(names)?;
        Ok(Stored {
            path,
            size: self.length,
            sha256,
        })
    }

    /// Ends an unfinished transfer: syncs what there is if it is to be kept, and removes it
    /// otherwise. Answers how many octets are kept.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn stop(mut self) -> Result<u64, StoreError> {
        if self.fate != Fate::Keep {
            return Ok(0);
        }
        self.flush()?;
        self.sync()?;
        Ok(self.length)
    }

    /// Removes the file.
    pub fn discard(mut self) {
        self.fate = Fate::Remove;
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(octets)
            .map_err(|e| StoreError::io("write", &self.path, e))?;
        self.unsynced += octets.len() as u64;
        if self.durable && self.unsynced >= SYNC_EVERY {
            self.sync_aside()?;
        }
        Ok(())
    }

    /// Begins to sync what is written while more is. Waits for the one before, so that a slow disk
    /// is heard.
    fn sync_aside(&mut self) -> Result<(), StoreError> {
        self.synced_aside()?;
        let file = self
            .file
            .try_clone()
            .map_err(|e| StoreError::io("sync", &self.path, e))?;
        self.unsynced = 0;
        self.syncing = Some(std::thread::spawn(move || file.sync_data()));
        Ok(())
    }

    /// Waits for the sync on the side, whose error would not be told a second time.
    fn synced_aside(&mut self) -> Result<(), StoreError> {
        match self.syncing.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.map_err(|e| StoreError::io("sync", &self.path, e)),
            // Nothing in it can panic.
            Some(Err(_)) | None => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if !self.durable {
            return Ok(());
        }
        self.synced_aside()?;
        self.file
            .sync_all()
            .map_err(|e| StoreError::io("sync", &self.path, e))
    }

    fn put_in_place(&mut self, names: u32) -> Result<PathBuf, StoreError> {
        let failed = |e| StoreError::io("create", &self.store.dir().join(&self.name), e);
        let mut partial = TempPath::try_from_path(&self.path).map_err(failed)?;
        for n in 0..names {
            let path = self.store.dir().join(numbered(&self.name, n));
            match partial.persist_noclobber(&path) {
                Ok(()) => {
                    self.fate = Fate::Done;
                    if self.durable {
                        sync_dir(self.store.dir());
                    }
                    return Ok(path);
                }
                Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => partial = e.path,
                Err(e) => {
                    // Its drop would remove the file: that is decided below.
                    let _ = e.path.keep();
                    return Err(failed(e.error));
                }
            }
        }
        let _ = partial.keep();
        Err(StoreError::Taken {
            path: self.store.dir().join(&self.name),
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It holds the lock, too.
        let synced = self.synced_aside().is_ok();
        let keep = match self.fate {
            Fate::Done => return,
            Fate::Keep => synced && self.flush().is_ok() && self.length > 0,
            Fate::Remove => false,
        };
        if !keep {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `photo.jpg`, `photo (1).jpg`, …
fn numbered(name: &str, n: u32) -> String {
    if n == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({n}).{extension}"),
        _ => format!("{name} ({n})"),
    }
}

#[cfg(unix)]
fn sync_dir(dir: &Path) {
    // Where a directory cannot be synced, the rename is as durable as it gets.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
}

#[cfg(not(unix))]
fn sync_dir(_dir: &Path) {}

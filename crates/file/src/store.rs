//! The directory that receives: names, leftovers, the partial file of a transfer.

use super::StoreError;
use super::claim::{Claim, Claims};
use super::hashes::{Hashes, hex};
use super::partial::Partial;
use core::time::Duration;
use fs4::fs_std::FileExt;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How long a partial file waits to be resumed.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many names are tried before giving up.
pub(super) const NAMES: u32 = 10_000;

const SUFFIX: &str = ".part";
const KEY_DIGITS: usize = 16;

/// A file that a peer offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'a> {
    /// The peer's bare JID.
    pub from: &'a str,
    /// A name that is safe as one component of a path.
    pub name: &'a str,
    /// The size, if declared: more is refused, less is a failure.
    pub size: Option<u64>,
    /// The MD5 of the whole file, if declared: anything else is a failure.
    pub md5: Option<[u8; 16]>,
    /// The modification time that the file is to have.
    pub modified: Option<SystemTime>,
}

/// What is wanted beside the file itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    /// Go on from what an earlier attempt left, and leave what this one gets when it fails. Takes
    /// effect only with declared size and MD5, since nothing else can tell whether the halves
    /// belong together.
    pub resume: bool,
    /// Compute the SHA-256 of the file.
    pub sha256: bool,
    /// How many octets are taken at most where no size is declared.
    pub max_size: Option<u64>,
    /// Leave it to the system when what is written reaches the disk: faster, and a file that is in
    /// place may still be lost with the machine's power.
    pub unsynced: bool,
}

/// A directory that receives files.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    /// What a new file gets here: 0666 less the umask, or what the directory's default ACL says.
    permissions: Permissions,
    owner: Owner,
    claims: Claims,
}

impl Store {
    /// Opens a directory for receiving.
    ///
    /// # Errors
    /// When it does not exist, is no directory, or no file can be created in it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        let probe = probe(&dir).map_err(|e| StoreError::io("create a file in", &dir, e))?;
        Ok(Self {
            permissions: probe.permissions(),
            owner: Owner::of(&probe),
            claims: Claims::default(),
            dir,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes partial files that were last written more than 7 days before `now` and that nobody
    /// is writing. Answers how many. What cannot be read or removed is left.
    pub fn clean(&self, now: SystemTime) -> usize {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return 0;
        };
        let mut removed = 0;
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(is_partial_name) {
                continue;
            }
            let old = |meta: &Metadata| {
                meta.modified()
                    .ok()
                    .and_then(|at| now.duration_since(at).ok())
                    .is_some_and(|age| age > KEPT)
            };
            // One that is written is young, and nobody waits for its lock here.
            if !entry.metadata().is_ok_and(|meta| old(&meta)) {
                continue;
            }
            let Ok(Some(file)) = self.open_leftover(&entry.path()) else {
                continue;
            };
            if file.metadata().is_ok_and(|meta| old(&meta)) && fs::remove_file(entry.path()).is_ok()
            {
                removed += 1;
            }
        }
        removed
    }

    /// Makes the partial file of a transfer, or finds the one that an earlier attempt left.
    ///
    /// Where the partial file to go on from is being written by a holder of this store who listens
    /// ([`Partial::wanted`]), that one is asked to let go of it and waited for. Where it is being
    /// written by someone else, the transfer gets one of another name and starts from 0. What was
    /// kept is read through for the hashes.
    ///
    /// # Errors
    /// A name that is no plain component, too little free space, and those of the file system.
    pub fn begin(&self, incoming: &Incoming<'_>, keep: Keep) -> Result<Partial, StoreError> {
        if !is_component(incoming.name) {
            return Err(StoreError::Name);
        }
        let resume = keep.resume && incoming.md5.is_some() && incoming.size.is_some();
        if resume {
            let path = self.dir.join(partial_name(incoming, 0));
            self.claims.ask_for(&path);
            let found = self
                .open_leftover(&path)
                .map_err(|e| StoreError::io("open", &path, e))?;
            if let Some(file) = found {
                return self.resumed(file, path, incoming, keep);
            }
        }
        self.has_room(incoming.size.unwrap_or(0))?;
        for n in 0..NAMES {
            let path = self.dir.join(partial_name(incoming, n));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => {
                    if !lock(&file).map_err(|e| StoreError::io("lock", &path, e))? {
                        continue;
                    }
                    let hashes = Hashes::new(incoming.md5.is_some(), keep.sha256);
                    let keep = Keep {
                        resume: resume && n == 0,
                        ..keep
                    };
                    return Ok(Partial::new(self, file, path, incoming, keep, hashes, 0));
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(StoreError::io("create", &path, e)),
            }
        }
        let e = io::ErrorKind::AlreadyExists.into();
        Err(StoreError::io("create a file in", &self.dir, e))
    }

    pub(super) fn claim(&self, path: &Path) -> Claim {
        self.claims.take(path)
    }

    pub(super) fn permissions(&self) -> Permissions {
        self.permissions.clone()
    }

    fn resumed(
        &self,
        mut file: File,
        path: PathBuf,
        incoming: &Incoming<'_>,
        keep: Keep,
    ) -> Result<Partial, StoreError> {
        let failed = |e| StoreError::io("read", &path, e);
        let length = file.metadata().map_err(failed)?.len();
        // A range must not be empty, so at least the last octet travels again.
        let most = incoming.size.map_or(length, |size| size.saturating_sub(1));
        let offset = if incoming.size.is_some_and(|size| length > size) {
            0
        } else {
            length.min(most)
        };
        self.has_room(incoming.size.unwrap_or(0).saturating_sub(length))?;
        if offset < length {
            file.set_len(offset).map_err(failed)?;
        }
        let mut hashes = Hashes::new(true, keep.sha256);
        hashes.read(&mut file, offset).map_err(failed)?;
        Ok(Partial::new(
            self, file, path, incoming, keep, hashes, offset,
        ))
    }

    /// Opens and locks a partial file that an earlier attempt left. `None` where there is nothing
    /// to go on from: no file, one that is being written, or something that we did not make (a
    /// symbolic link, a hard link, another user's file).
    fn open_leftover(&self, path: &Path) -> io::Result<Option<File>> {
        let ours = |meta: &Metadata| meta.is_file() && self.owner == Owner::of(meta);
        let found = |result: io::Result<Metadata>| match result {
            Ok(meta) => Ok(Some(meta)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        let Some(before) = found(path.symlink_metadata())? else {
            return Ok(None);
        };
        if !ours(&before) {
            return Ok(None);
        }
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if !lock(&file)? {
            return Ok(None);
        }
        // Whoever held the lock may have put the file in place, and the name may be another's now.
        let Some(now) = found(path.symlink_metadata())? else {
            return Ok(None);
        };
        Ok((ours(&now) && same(&now, &file.metadata()?)).then_some(file))
    }

    fn has_room(&self, needed: u64) -> Result<(), StoreError> {
        // Some file systems tell nothing: then the write itself will.
        let known = fs4::total_space(&self.dir).is_ok_and(|total| total > 0);
        match fs4::available_space(&self.dir) {
            Ok(free) if known && free < needed => Err(StoreError::Full {
                path: self.dir.clone(),
                free: Some(free),
            }),
            _ => Ok(()),
        }
    }
}

/// `.NAME.<16 hexadecimal digits>.part`
fn partial_name(incoming: &Incoming<'_>, attempt: u32) -> String {
    let mut hash = Sha256::new();
    let mut part = |octets: &[u8]| {
        hash.update((octets.len() as u64).to_be_bytes());
        hash.update(octets);
    };
    // RFC 7622: the bare JID of one account may arrive in either case.
    part(incoming.from.to_ascii_lowercase().as_bytes());
    part(incoming.name.as_bytes());
    part(
        incoming
            .size
            .map_or_else(String::new, |n| n.to_string())
            .as_bytes(),
    );
    part(incoming.md5.as_ref().map_or(&[][..], |md5| md5));
    if attempt > 0 {
        part(&attempt.to_be_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let key = hex(&digest[..KEY_DIGITS / 2]);
    format!(".{}.{key}{SUFFIX}", incoming.name)
}

fn is_partial_name(name: &str) -> bool {
    let key = name
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .and_then(|rest| rest.rsplit_once('.'))
        .map(|(_, key)| key);
    key.is_some_and(|key| {
        key.len() == KEY_DIGITS && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

fn lock(file: &File) -> io::Result<bool> {
    FileExt::try_lock_exclusive(file)
}

fn probe(dir: &Path) -> io::Result<Metadata> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let probe = builder.tempfile_in(dir).map_err(unnamed)?;
    probe.as_file().metadata()
}

/// The error without the name of the file that could not be made, which says nothing to anybody.
fn unnamed(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((cause, _)) => io::Error::new(error.kind(), cause),
        None => error,
    }
}

/// Whose a file is, where that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    user: u32,
    /// A second name elsewhere would let what is written show up there.
    names: u64,
}

#[cfg(unix)]
impl Owner {
    fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            user: meta.uid(),
            names: meta.nlink().max(1),
        }
    }
}

#[cfg(not(unix))]
impl Owner {
    fn of(_meta: &Metadata) -> Self {
        Self { user: 0, names: 1 }
    }
}

#[cfg(unix)]
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.dev() == b.dev() && a.ino() == b.ino()
}

#[cfg(not(unix))]
fn same(_a: &Metadata, _b: &Metadata) -> bool {
    true
}

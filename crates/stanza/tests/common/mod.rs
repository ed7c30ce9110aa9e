//! What the tests of the doors share.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod minidom;

use bytestreams_stanza::door::{Context, Door};
use bytestreams_stanza::{Decoder, Stanza};
use std::fs;
use std::path::{Path, PathBuf};

/// The XML files of a folder, by name.
pub(crate) fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let octets = fs::read(&path).expect("file");
            (path, octets)
        })
        .collect()
}

/// What a door and the decoder make of a text.
pub(crate) fn read(
    door: &mut impl Door,
    text: &[u8],
    context: &Context,
    decoder: &mut Decoder,
) -> Result<Stanza, String> {
    if let Err(error) = door.read(text, context, decoder) {
        decoder.reset();
        return Err(error.to_string());
    }
    decoder.finish().map_err(|error| error.to_string())
}

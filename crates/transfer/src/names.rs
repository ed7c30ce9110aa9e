//! Names of files, as peers give them.

use alloc::string::String;

/// The longest name made, in octets: file systems take 255, and suffixes such as ` (12)` follow.
const MAX: usize = 200;

/// The longest extension that is kept when a name is cut, in octets.
const MAX_EXTENSION: usize = 32;

/// Turns a name that a peer gave into one that is safe for a file within one directory.
///
/// The answer is one component (the last, whether `/` or `\` stand between them) of 1 to 200
/// octets, without control or bidirectional characters and without those that Windows forbids, with
/// no dot or space in front and none behind, and no device name of Windows. Long names are cut
/// before their extension. Where nothing is left, it is `file`.
///
/// A safe name comes back as it is.
pub fn safe_name(name: &str) -> String {
    let component = name
        .rsplit(['/', '\\'])
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let clean: String = component
        .chars()
        .filter(|&c| !is_hidden(c))
        .map(|c| if is_forbidden(c) { '_' } else { c })
        .collect();
    let trimmed = clean.trim_matches(is_trimmed);
    let mut safe = String::new();
    if is_device(trimmed) {
        safe.push('_');
    }
    safe.push_str(trimmed);
    let safe = cut(safe);
    if safe.is_empty() {
        return String::from("file");
    }
    safe
}

/// Controls, separators of lines, and what changes the direction of the text around it, which can
/// make `gpj.exe` look like `exe.jpg`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What Windows does not have in names; the colon also opens a stream of another file there.
fn is_forbidden(c: char) -> bool {
    matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
}

fn is_trimmed(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

/// The names that Windows gives to devices, in any directory and with any extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"]
        .iter()
        .any(|device| is(device))
    {
        return true;
    }
    let mut rest = stem.chars();
    let numbered = ["COM", "LPT"].iter().any(|device| {
        stem.get(..3)
            .is_some_and(|head| head.eq_ignore_ascii_case(device))
    });
    // The superscripts count as digits there.
    numbered
        && matches!(
            rest.nth(3),
            Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
        )
        && rest.next().is_none()
}

fn cut(name: String) -> String {
    if name.len() <= MAX {
        return name;
    }
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name.as_str(), ""),
    };
    let mut end = MAX - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem.get(..end).unwrap_or_default();
    let mut cut = String::from(stem.trim_end_matches(is_trimmed));
    cut.push_str(extension);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) -> String {
        let safe = safe_name(name);
        assert!(!safe.is_empty() && safe.len() <= MAX, "{name:?}: {safe:?}");
        assert!(
            !safe
                .chars()
                .any(|c| is_hidden(c) || is_forbidden(c) || c == '/' || c == '\\'),
            "{name:?}: {safe:?}"
        );
        assert!(
            !safe.starts_with(is_trimmed) && !safe.ends_with(is_trimmed),
            "{safe:?}"
        );
        assert!(!is_device(&safe), "{safe:?}");
        assert_eq!(safe_name(&safe), safe, "a safe name stays");
        safe
    }

    #[test]
    fn harmless_names_stay() {
        for name in [
            "photo.jpg",
            "Prüfung 1.tar.gz",
            "公共房间.png",
            "a",
            "-rf",
            "COM10",
            "CONSOLE.txt",
            "👩‍👩‍👧.png",
        ] {
            assert_eq!(check(name), name);
        }
    }

    #[test]
    fn a_name_is_one_component() {
        for (name, safe) in [
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("C:\\x", "x"),
            ("C:x", "C_x"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("a/b\\c", "c"),
            ("dir/", "dir"),
            ("file.txt:stream", "file.txt_stream"),
            ("..", "file"),
            ("a/..", "file"),
            ("/", "file"),
        ] {
            assert_eq!(check(name), safe, "{name:?}");
        }
    }

    #[test]
    fn dots_and_spaces_at_the_ends_go() {
        for (name, safe) in [
            ("", "file"),
            (".", "file"),
            (" . .. ", "file"),
            (".bashrc", "bashrc"),
            ("... .profile", "profile"),
            ("a.txt. . ", "a.txt"),
            ("\u{a0}a\u{3000}", "a"),
        ] {
            assert_eq!(check(name), safe, "{name:?}");
        }
    }

    #[test]
    fn devices_of_windows_are_renamed() {
        for (name, safe) in [
            ("CON", "_CON"),
            ("con", "_con"),
            ("nul.txt", "_nul.txt"),
            ("Aux.tar.gz", "_Aux.tar.gz"),
            ("COM1", "_COM1"),
            ("lpt9.log", "_lpt9.log"),
            ("COM\u{b9}", "_COM\u{b9}"),
            ("CON .txt", "_CON .txt"),
            ("CONOUT$", "_CONOUT$"),
            ("C\u{200f}ON", "_CON"),
            (".CON.", "_CON"),
        ] {
            assert_eq!(check(name), safe, "{name:?}");
        }
    }

    #[test]
    fn what_would_move_a_cursor_or_turn_the_text_goes() {
        for (name, safe) in [
            ("\u{1b}[31mred\u{1b}[0m.txt", "[31mred[0m.txt"),
            ("\u{1b}]0;title\u{7}x", "]0;titlex"),
            ("a\nb\r\tc\0d", "abcd"),
            ("\u{9b}31mx", "31mx"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("\u{2066}a\u{2069}\u{200e}b", "ab"),
            ("a<b>|\"c?*", "a_b___c__"),
            ("\u{feff}\u{2028}", "file"),
        ] {
            assert_eq!(check(name), safe, "{name:?}");
        }
    }

    #[test]
    fn long_names_are_cut_before_their_extension() {
        let long = "x".repeat(4096);
        assert_eq!(check(&long).len(), MAX);
        let with = check(&(long.clone() + ".jpeg"));
        assert_eq!(with.len(), MAX);
        assert!(with.ends_with("xx.jpeg"));
        let odd = check(&("ü".repeat(2048) + ".txt"));
        assert!(odd.len() >= MAX - 1 && odd.ends_with("ü.txt"), "{odd}");
        let all = check(&(String::from("a.") + &long));
        assert_eq!(all.len(), MAX, "that is no extension");
        check(&("a".repeat(190) + &" ".repeat(500) + "b"));
        check(&(" .".repeat(2048)));
        check(&(String::from("a") + &" .".repeat(2048) + "z"));
    }
}

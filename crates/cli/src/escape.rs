//! Makes what others named harmless on a terminal.

use core::fmt::Write as _;

/// Writes control characters, and those that change how others are laid out or seen, as `\u{…}`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Like [`escape`], for texts of several lines.
pub(crate) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// Writes a text as a JSON string in which the same characters are escaped, since a JSON line may
/// end on a terminal too.
pub(crate) fn json_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        if is_harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b[31m\u{9b}b\u{202e}gpj\"\\\u{e0041}\r\n";

    #[test]
    fn terminals_see_no_control_characters() {
        assert_eq!(
            escape(HOSTILE),
            "a\\u{1b}[31m\\u{9b}b\\u{202e}gpj\"\\\\u{e0041}\\u{d}\\u{a}"
        );
        assert_eq!(escape("Größe 写真.jpg"), "Größe 写真.jpg");
    }

    #[test]
    fn json_strings_say_the_same_in_harmless_characters() {
        let line = json_string(HOSTILE);
        assert!(!line.chars().any(is_harmful), "{line}");
        let back: String = serde_json::from_str(&line).unwrap();
        assert_eq!(back, HOSTILE);
    }
}

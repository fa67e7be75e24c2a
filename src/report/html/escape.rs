//! Text and bytes in a form that HTML carries unharmed.

/// The text as HTML, for element content and quoted attributes. Characters that could hide or
/// reorder what stands around them (controls, bidirectional overrides) become U+FFFD.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            '\t' | '\n' | '\r' => safe.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                safe.push('\u{fffd}');
            }
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// RFC 4648, section 4, with padding.
pub(in crate::report) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let part = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for letter in 0..4 {
            match letter <= group.len() {
                true => {
                    let sextet = (bits >> (18 - 6 * letter)) & 63;
                    text.push(char::from(LETTERS[sextet as usize]));
                }
                false => text.push('='),
            }
        }
    }
    text
}

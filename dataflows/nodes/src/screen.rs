//! A block of lines that stays at the bottom of a terminal while others go on writing above it.
//!
//! The terminal's own scroll region does the work: everything else scrolls in the rows above the block. Each
//! change is one `write`, which a terminal never mixes with another's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Rows that stay free for everybody else's lines, or the block is not shown.
const ROWS_FREE_MIN: u16 = 4;

/// The block.
#[derive(Debug)]
pub struct Screen {
    terminal: File,
    /// How many rows the block has, and the terminal's rows when the region was set.
    region: Option<(u16, u16)>,
}

impl Screen {
    /// Opens the terminal at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened for writing, or is no terminal.
    pub fn open(path: &Path) -> io::Result<Screen> {
        let terminal = OpenOptions::new().write(true).open(path)?;
        rustix::termios::tcgetwinsize(&terminal)?;
        Ok(Screen {
            terminal,
            region: None,
        })
    }

    /// Draws `lines` in place of what the block showed, each cut to the terminal's width. `false`: the terminal
    /// is too small for it now.
    ///
    /// # Errors
    ///
    /// When the terminal has gone.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<bool> {
        let size = rustix::termios::tcgetwinsize(&self.terminal)?;
        let block = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let mut out = String::new();
        if size.ws_row < block.saturating_add(ROWS_FREE_MIN) {
            self.leave(&mut out);
            self.terminal.write_all(out.as_bytes())?;
            return Ok(false);
        }
        if self.region != Some((block, size.ws_row)) {
            self.leave(&mut out);
            // Room first, by scrolling; then the region, with the cursor kept where it was.
            out.push_str(&"\n".repeat(usize::from(block)));
            out.push_str(&format!(
                "\x1b[{block}A\x1b7\x1b[1;{}r\x1b8",
                size.ws_row - block
            ));
            self.region = Some((block, size.ws_row));
        }
        out.push_str("\x1b7");
        for (row, line) in (size.ws_row - block + 1..).zip(lines) {
            let line: String = line.chars().take(usize::from(size.ws_col)).collect();
            out.push_str(&format!("\x1b[{row};1H{line}\x1b[K"));
        }
        out.push_str("\x1b8");
        self.terminal.write_all(out.as_bytes())?;
        Ok(true)
    }

    /// Gives the rows back.
    fn leave(&mut self, out: &mut String) {
        if let Some((block, rows)) = self.region.take() {
            out.push_str("\x1b7\x1b[r");
            for row in rows - block + 1..=rows {
                out.push_str(&format!("\x1b[{row};1H\x1b[K"));
            }
            out.push_str("\x1b8");
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = String::new();
        self.leave(&mut out);
        // A terminal that has gone needs no rows back.
        let _ = self.terminal.write_all(out.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_is_refused() {
        assert!(Screen::open(Path::new("/dev/null")).is_err());
        assert!(Screen::open(Path::new("/does/not/exist")).is_err());
    }
}

//! The terminal that bars are drawn on.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};

/// How often bars are drawn in a second, at most.
const DRAWN_HZ: u8 = 20;
/// How wide a terminal is that does not say so.
const COLUMNS_DEFAULT: u16 = 80;
/// And how high.
const ROWS_DEFAULT: u16 = 24;
/// A terminal that is not even so wide has no bars.
const COLUMNS_MIN: u16 = 60;
/// Columns that stay free, so that the `^C` that the terminal itself writes does not begin another line, of which
/// nobody would know.
const COLUMNS_FREE: u16 = 3;

/// Which stream is the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
    /// No terminal at all.
    #[cfg(test)]
    None,
}

impl Terminal {
    /// Whether bars can be drawn: it is a terminal that can move its cursor, and wide enough.
    pub(crate) fn can_draw(self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        !is_dumb
            && match self {
                Terminal::Output => stdout().is_terminal(),
                Terminal::Error => stderr().is_terminal(),
                #[cfg(test)]
                Terminal::None => false,
            }
            && self.columns() >= COLUMNS_MIN
    }

    /// What draws on it.
    pub(super) fn target(self) -> ProgressDrawTarget {
        #[cfg(test)]
        if self == Terminal::None {
            return ProgressDrawTarget::hidden();
        }
        let screen = Screen {
            terminal: self,
            drawn: Mutex::default(),
        };
        ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWN_HZ)
    }

    /// Columns that can be drawn on.
    pub(super) fn columns(self) -> u16 {
        let (columns, _) = self.size();
        columns.saturating_sub(COLUMNS_FREE).max(1)
    }

    fn size(self) -> (u16, u16) {
        let size = match self {
            Terminal::Output => rustix::termios::tcgetwinsize(stdout()),
            Terminal::Error => rustix::termios::tcgetwinsize(stderr()),
            #[cfg(test)]
            Terminal::None => return (120, 40),
        };
        let or = |number: u16, default| if number == 0 { default } else { number };
        match size {
            Ok(size) => (
                or(size.ws_col, COLUMNS_DEFAULT),
                or(size.ws_row, ROWS_DEFAULT),
            ),
            Err(_) => (COLUMNS_DEFAULT, ROWS_DEFAULT),
        }
    }
}

/// Gathers what is drawn, and writes it in one go.
#[derive(Debug)]
struct Screen {
    terminal: Terminal,
    drawn: Mutex<Drawn>,
}

#[derive(Debug, Default)]
struct Drawn {
    text: String,
    /// Whether what is drawn next stands in the next line.
    is_line_full: bool,
}

impl Screen {
    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, text: &str) -> io::Result<()> {
        self.drawn().text.push_str(text);
        Ok(())
    }

    fn move_cursor(&self, by: usize, letter: char) -> io::Result<()> {
        match by {
            0 => Ok(()),
            by => self.control(&format!("\x1b[{by}{letter}")),
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.terminal.columns()
    }

    fn height(&self) -> u16 {
        self.terminal.size().1
    }

    fn move_cursor_up(&self, by: usize) -> io::Result<()> {
        self.move_cursor(by, 'A')
    }

    fn move_cursor_down(&self, by: usize) -> io::Result<()> {
        self.move_cursor(by, 'B')
    }

    fn move_cursor_right(&self, by: usize) -> io::Result<()> {
        self.move_cursor(by, 'C')
    }

    fn move_cursor_left(&self, by: usize) -> io::Result<()> {
        self.move_cursor(by, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.control("\n")
    }

    /// Lines come with blanks that fill them, so that the next one begins by itself; it begins with a line's end
    /// here, and the columns behind a line stay free.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut drawn = self.drawn();
        if text.chars().all(|character| character == ' ') {
            drawn.is_line_full = true;
            return Ok(());
        }
        if std::mem::take(&mut drawn.is_line_full) {
            drawn.text.push('\n');
        }
        drawn.text.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.control("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *self.drawn());
        match self.terminal {
            Terminal::Output => {
                let mut out = stdout().lock();
                out.write_all(drawn.text.as_bytes())?;
                out.flush()
            }
            Terminal::Error => stderr().lock().write_all(drawn.text.as_bytes()),
            #[cfg(test)]
            Terminal::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_begins_below_the_one_before_and_leaves_its_last_columns_free() {
        let screen = Screen {
            terminal: Terminal::None,
            drawn: Mutex::default(),
        };
        // As indicatif draws two lines in place of two.
        screen.move_cursor_up(1).unwrap();
        screen.clear_line().unwrap();
        for line in ["one", "two"] {
            screen.write_str(line).unwrap();
            screen.write_str(&" ".repeat(77)).unwrap();
        }
        assert_eq!(screen.drawn().text, "\x1b[1A\r\x1b[2Kone\ntwo");
        screen.flush().unwrap();
        // The next picture begins in the line where this one has ended.
        screen.write_str("three").unwrap();
        assert_eq!(screen.drawn().text, "three");
    }
}

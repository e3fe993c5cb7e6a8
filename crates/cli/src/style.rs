//! Whether, and with what, text is coloured.

use std::io::IsTerminal;

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    coloured: bool,
}

/// The colours of nodes' names, in the order of the description, over and over.
const NAMES: [u8; 6] = [36, 33, 32, 35, 34, 96];

impl Style {
    /// No colours.
    pub(crate) const PLAIN: Style = Style { coloured: false };

    /// Colours when `stream` is a terminal that shows them and nobody has set `NO_COLOR`.
    pub(crate) fn of(stream: &impl IsTerminal) -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        Style {
            coloured: stream.is_terminal() && !refused && !dumb,
        }
    }

    /// A node's name, in the colour of its place.
    pub(crate) fn name(self, text: &str, place: usize) -> String {
        self.paint(text, NAMES[place % NAMES.len()])
    }

    /// What matters.
    pub(crate) fn strong(self, text: &str) -> String {
        self.paint(text, 1)
    }

    /// What is only there to be complete.
    pub(crate) fn faint(self, text: &str) -> String {
        self.paint(text, 2)
    }

    /// What went wrong.
    pub(crate) fn wrong(self, text: &str) -> String {
        self.paint(text, 31)
    }

    /// What is doubtful.
    pub(crate) fn doubtful(self, text: &str) -> String {
        self.paint(text, 33)
    }

    fn paint(self, text: &str, code: u8) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

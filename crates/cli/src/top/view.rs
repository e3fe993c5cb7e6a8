//! What a person has chosen to see, and what each key changes about that. It draws nothing and asks nobody.

use std::collections::BTreeMap;

use super::tables::{RowId, Tab, Wishes};

/// The longest filter.
const FILTER_MAX: usize = 64;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    Tab,
    BackTab,
    Enter,
    Escape,
    Backspace,
    Character(char),
    /// With the control key.
    Control(char),
}

/// What is to be done after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Draw.
    Draw,
    /// Draw everything anew: something else has written on the screen.
    DrawAnew,
    /// Stop this process, as a shell's person expects of Ctrl-Z.
    Suspend,
    /// End.
    Leave,
}

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// The table.
    #[default]
    Table,
    /// The table, while a filter is typed.
    Filtering,
    /// All that is known of the selected row.
    Details,
    /// What the keys and the columns are.
    Help,
}

/// What a person has chosen to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) tab: Tab,
    pub(super) mode: Mode,
    pub(super) filter: String,
    pub(super) is_paused: bool,
    orders: BTreeMap<Tab, Wishes>,
    selected: BTreeMap<Tab, RowId>,
    /// The first row that is seen: of the table, or of the page that is shown in its place.
    pub(super) top: usize,
    /// How many rows were seen when it was drawn last.
    pub(super) page: usize,
    /// The rows that there were then, in order.
    pub(super) ids: Vec<RowId>,
    /// The columns that had room then.
    pub(super) columns: Vec<&'static str>,
}

impl View {
    /// The nodes, ordered by this column, of the rows with this text.
    pub(super) fn new(sort: Option<&str>, filter: &str) -> View {
        let orders = Tab::ALL.map(|tab| (tab, Wishes::of(tab, sort, "")));
        View {
            tab: Tab::Nodes,
            mode: Mode::Table,
            filter: filter.to_owned(),
            is_paused: false,
            orders: orders.into(),
            selected: BTreeMap::new(),
            top: 0,
            page: 1,
            ids: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// What is wished of a table.
    pub(super) fn wishes(&self, tab: Tab) -> Wishes {
        Wishes {
            filter: self.filter.clone(),
            ..self.orders.get(&tab).cloned().unwrap_or_default()
        }
    }

    /// The row that is selected.
    pub(super) fn selected(&self) -> Option<RowId> {
        self.selected.get(&self.tab).copied()
    }

    /// These rows are there now, and so many of them can be seen: keeps the selected one among them, and gives its place.
    pub(super) fn settle(&mut self, ids: &[RowId], page: usize) -> Option<usize> {
        let page = page.max(1);
        let selected = self.selected();
        let mut place = ids.iter().position(|id| Some(*id) == selected);
        if place.is_none() && selected.is_some() {
            // It has gone: who stands there now takes its place.
            let was = self.ids.iter().position(|id| Some(*id) == selected);
            place = was.map(|was| was.min(ids.len().saturating_sub(1)));
            place = place.filter(|place| *place < ids.len());
        }
        match place {
            Some(place) => {
                self.selected.insert(self.tab, ids[place]);
                self.top = self.top.clamp((place + 1).saturating_sub(page), place);
            }
            None => {
                self.selected.remove(&self.tab);
            }
        }
        self.top = self.top.min(ids.len().saturating_sub(page));
        self.page = page;
        ids.clone_into(&mut self.ids);
        place
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) -> After {
        match key {
            Key::Control('c' | 'd') => return After::Leave,
            Key::Control('z') => return After::Suspend,
            Key::Control('l') => return After::DrawAnew,
            _ => {}
        }
        match self.mode {
            Mode::Filtering => self.press_in_filter(key),
            Mode::Help => self.press_in_help(key),
            Mode::Details => return self.press_in_details(key),
            Mode::Table => return self.press_in_table(key),
        }
        After::Draw
    }

    fn press_in_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.mode = Mode::Table,
            Key::Escape | Key::Control('u') => {
                self.filter.clear();
                if key == Key::Escape {
                    self.mode = Mode::Table;
                }
            }
            Key::Backspace if self.filter.is_empty() => self.mode = Mode::Table,
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Character(character)
                if !character.is_control() && self.filter.chars().count() < FILTER_MAX =>
            {
                self.filter.push(character);
            }
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => self.travel(key),
            _ => {}
        }
    }

    fn press_in_help(&mut self, key: Key) {
        match key {
            Key::Up => self.top = self.top.saturating_sub(1),
            Key::Down => self.top += 1,
            Key::PageUp => self.top = self.top.saturating_sub(self.page),
            Key::PageDown | Key::Character(' ') => self.top += self.page,
            Key::Home => self.top = 0,
            _ => self.show(Mode::Table),
        }
    }

    fn press_in_details(&mut self, key: Key) -> After {
        match key {
            Key::Up | Key::Down => self.travel(key),
            Key::Escape | Key::Enter | Key::Backspace | Key::Character('q') => {
                self.show(Mode::Table);
            }
            Key::Character('?') | Key::Character('h') => self.show(Mode::Help),
            Key::Character(' ' | 'p') => self.is_paused = !self.is_paused,
            _ => {}
        }
        After::Draw
    }

    fn press_in_table(&mut self, key: Key) -> After {
        match key {
            Key::Character('q') => return After::Leave,
            Key::Character('?' | 'h') => self.show(Mode::Help),
            Key::Character('/' | 'f') => self.mode = Mode::Filtering,
            Key::Character(' ' | 'p') => self.is_paused = !self.is_paused,
            Key::Character('<' | ',') => self.sort_by_next(-1),
            Key::Character('>' | '.' | 's') => self.sort_by_next(1),
            Key::Character('r') => {
                let order = self.orders.entry(self.tab).or_default();
                order.is_reversed = !order.is_reversed;
            }
            Key::Character('n') => {
                self.orders.remove(&self.tab);
            }
            Key::Character(digit @ '1'..='9') => {
                let place = digit as usize - '1' as usize;
                if let Some(tab) = Tab::ALL.get(place) {
                    self.go_to(*tab);
                }
            }
            Key::Left | Key::BackTab => self.go_by(-1),
            Key::Right | Key::Tab => self.go_by(1),
            Key::Enter => {
                if self.selected().is_none() {
                    self.travel(Key::Home);
                }
                if self.selected().is_some() {
                    self.show(Mode::Details);
                }
            }
            Key::Escape => {
                self.filter.clear();
                self.selected.remove(&self.tab);
                self.top = 0;
            }
            Key::Character('k') => self.travel(Key::Up),
            Key::Character('j') => self.travel(Key::Down),
            Key::Character('g') => self.travel(Key::Home),
            Key::Character('G') => self.travel(Key::End),
            _ => self.travel(key),
        }
        After::Draw
    }

    fn show(&mut self, mode: Mode) {
        self.mode = mode;
        self.top = 0;
    }

    fn go_to(&mut self, tab: Tab) {
        if self.tab != tab {
            self.tab = tab;
            self.top = 0;
            self.ids.clear();
        }
    }

    fn go_by(&mut self, step: isize) {
        let place = Tab::ALL.iter().position(|tab| *tab == self.tab);
        let next = place.unwrap_or(0).wrapping_add_signed(step) % Tab::ALL.len();
        self.go_to(Tab::ALL[next]);
    }

    /// Orders the table by the next column that is seen; behind the last one comes the order that the runtime has.
    fn sort_by_next(&mut self, step: isize) {
        let order = self.orders.entry(self.tab).or_default();
        let now = self
            .columns
            .iter()
            .position(|column| Some(*column) == order.sort.as_deref());
        // The place 0 stands for no column.
        let places = self.columns.len() + 1;
        let next = (now.map_or(0, |now| now + 1) + places).wrapping_add_signed(step) % places;
        order.sort = next
            .checked_sub(1)
            .map(|next| self.columns[next].to_owned());
        order.is_reversed = false;
    }

    /// Selects another row.
    fn travel(&mut self, key: Key) {
        let selected = self.selected();
        let place = self.ids.iter().position(|id| Some(*id) == selected);
        let last = self.ids.len().saturating_sub(1);
        let next = match (key, place) {
            (Key::Home, _) => 0,
            (Key::End, _) => last,
            (Key::Down | Key::PageDown, None) => self.top,
            (Key::Up | Key::PageUp, None) => (self.top + self.page).saturating_sub(1),
            (Key::Up, Some(place)) => place.saturating_sub(1),
            (Key::Down, Some(place)) => place + 1,
            (Key::PageUp, Some(place)) => place.saturating_sub(self.page),
            (Key::PageDown, Some(place)) => place + self.page,
            _ => return,
        };
        if let Some(id) = self.ids.get(next.min(last)) {
            self.selected.insert(self.tab, *id);
        }
    }
}

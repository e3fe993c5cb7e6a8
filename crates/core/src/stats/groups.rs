//! Groups: all nodes of one name.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{GroupRow, Level};

use super::pages::LongRows;
use super::slots::Share;
use crate::broken::{Rule, is_broken};

/// How many names have a group of their own, unless another number is asked for. No group is ever thrown away, since its
/// counters would go with it; so all names that come later share one group without a name.
pub const GROUPS_MAX: usize = 1024;

/// The number of the group that all names share that come too late.
const NAMELESS: u64 = u64::MAX;

/// The number of a group.
pub(super) type GroupNumber = u64;

#[derive(Debug, Clone)]
pub(super) struct Group {
    name: Option<Arc<NodeId>>,
    pub(super) level: Level,
}

/// A page of them has no more than one, which is shared as it is.
impl Share for Group {
    fn share(&mut self) {}
}

impl Share for Groups {
    fn share(&mut self) {
        self.rows.share();
    }
}

impl Group {
    pub(super) fn row(&self) -> GroupRow {
        GroupRow {
            name: self.name.as_deref().cloned(),
            level: self.level,
        }
    }
}

/// All groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    rows: LongRows<Group>,
    names: Arc<BTreeMap<Arc<NodeId>, GroupNumber>>,
}

impl Groups {
    /// The number of a name's group, and the name as all nodes of it share it. It comes in if it is new; there are at
    /// most `groups_max` with a name.
    pub(super) fn join(&mut self, name: &NodeId, groups_max: usize) -> (GroupNumber, Arc<NodeId>) {
        if let Some((name, number)) = self.names.get_key_value(name) {
            return (*number, Arc::clone(name));
        }
        let name = Arc::new(name.clone());
        if self.names.len() >= groups_max {
            if is_broken(Rule::LateNamesAreLost) {
                return (NAMELESS - 1, name);
            }
            return (self.nameless(), name);
        }
        let number = self.names.len() as GroupNumber;
        Arc::make_mut(&mut self.names).insert(Arc::clone(&name), number);
        self.put(number, Some(Arc::clone(&name)));
        (number, name)
    }

    /// The number of the group without a name. It comes in if it is new.
    pub(super) fn nameless(&mut self) -> GroupNumber {
        if self.rows.get(NAMELESS).is_none() {
            self.put(NAMELESS, None);
        }
        NAMELESS
    }

    fn put(&mut self, number: GroupNumber, name: Option<Arc<NodeId>>) {
        let level = Level::default();
        self.rows.insert(number, Group { name, level });
    }

    /// The numbers of a group, to be changed.
    pub(super) fn level_mut(&mut self, number: GroupNumber) -> Option<&mut Level> {
        Some(&mut self.rows.get_mut(number)?.level)
    }

    /// The numbers of a group.
    pub(super) fn level_of(&self, number: GroupNumber) -> Option<&Level> {
        Some(&self.rows.get(number)?.level)
    }

    /// The numbers of a name's group: of that without a name for `None`, and for a name without a group, which is counted
    /// there.
    pub(super) fn level(&self, name: Option<&NodeId>) -> Option<&Level> {
        let number = match name {
            Some(name) => self.names.get(name).copied().unwrap_or(NAMELESS),
            None => NAMELESS,
        };
        Some(&self.rows.get(number)?.level)
    }

    /// Whether all of them are the same as those of another one: whether both share them.
    pub(super) fn is_shared_with(&self, other: &Groups) -> bool {
        self.rows.is_shared_with(&other.rows)
    }

    /// How many there are, also that without a name.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them with their numbers, as they came in; that without a name last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupNumber, &Group)> {
        self.rows.iter()
    }

    /// All of them in the order of their names; that without a name last.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Group> {
        let named = self.names.values().copied();
        named
            .chain([NAMELESS])
            .filter_map(|number| self.rows.get(number))
    }

    /// The rows of those that have changed or come in since, in the order of their names.
    pub(super) fn changed_since(&self, earlier: &Groups) -> Vec<GroupRow> {
        let mut changed = Vec::new();
        let is_same = |old: &Group, new: &Group| old.level == new.level;
        (earlier.rows).compare(&self.rows, is_same, |_, _, now| {
            changed.extend(now.map(|group| group.row()));
        });
        changed.sort_by(|one, other| key_of(one).cmp(&key_of(other)));
        changed
    }
}

/// In what order rows of groups are: by name, that without one last.
pub(super) fn key_of(row: &GroupRow) -> (bool, Option<&NodeId>) {
    (row.name.is_none(), row.name.as_ref())
}

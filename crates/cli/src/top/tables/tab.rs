//! The tables that there are.

use std::ops::Range;

use crate::top::figures::Picture;

use super::column::{Heading, Row};
use super::sheet::{RowId, Sheet, Wishes, sheet};
use super::{actors, dataflows, downloads, edges, groups, nodes, peers, pool};

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::top) enum Tab {
    Dataflows,
    Nodes,
    Groups,
    Edges,
    Peers,
    Downloads,
    Actors,
    Pool,
}

impl Tab {
    /// All of them, in their order on the screen.
    pub(in crate::top) const ALL: [Tab; 8] = [
        Tab::Dataflows,
        Tab::Nodes,
        Tab::Groups,
        Tab::Edges,
        Tab::Peers,
        Tab::Downloads,
        Tab::Actors,
        Tab::Pool,
    ];

    /// What stands on it.
    #[cfg(feature = "top")]
    pub(in crate::top) fn title(self) -> &'static str {
        match self {
            Tab::Dataflows => "Dataflows",
            Tab::Nodes => "Nodes",
            Tab::Groups => "Groups",
            Tab::Edges => "Edges",
            Tab::Peers => "Peers",
            Tab::Downloads => "Downloads",
            Tab::Actors => "Actors",
            Tab::Pool => "Pool",
        }
    }

    /// What is said in place of a table without rows.
    #[cfg(feature = "top")]
    pub(in crate::top) fn empty(self) -> &'static str {
        match self {
            Tab::Dataflows | Tab::Nodes | Tab::Groups => "no dataflow runs here",
            Tab::Edges => "no node sends to another",
            Tab::Peers => "no agent runs here, or it knows no peer",
            Tab::Downloads => "no model is wanted",
            Tab::Actors => "no runtime answers",
            Tab::Pool => "no runtime answers, or none has needed its pool yet",
        }
    }

    /// The columns that it can have.
    pub(in crate::top) fn headings(self) -> Vec<Heading> {
        match self {
            Tab::Dataflows => of(dataflows::COLUMNS),
            Tab::Nodes => of(nodes::COLUMNS),
            Tab::Groups => of(groups::COLUMNS),
            Tab::Edges => of(edges::COLUMNS),
            Tab::Peers => of(peers::COLUMNS),
            Tab::Downloads => of(downloads::COLUMNS),
            Tab::Actors => of(actors::COLUMNS),
            Tab::Pool => of(pool::COLUMNS),
        }
    }

    /// How many rows it has without a filter.
    pub(in crate::top) fn rows(self, picture: &Picture) -> usize {
        match self {
            Tab::Dataflows => dataflows::rows(picture).len(),
            Tab::Nodes => nodes::rows(picture).len(),
            Tab::Groups => groups::rows(picture).len(),
            Tab::Edges => edges::rows(picture).len(),
            Tab::Peers => peers::rows(picture).len(),
            Tab::Downloads => downloads::rows(picture).len(),
            Tab::Actors => actors::rows(picture).len(),
            Tab::Pool => pool::rows(picture).len(),
        }
    }

    /// The table. `seen` says which of its rows are seen, once it is known which there are.
    pub(in crate::top) fn sheet(
        self,
        picture: &Picture,
        wishes: &Wishes,
        seen: &mut dyn FnMut(&[RowId]) -> Range<usize>,
    ) -> Sheet {
        macro_rules! of {
            ($table:ident) => {
                sheet(
                    $table::rows(picture),
                    $table::COLUMNS,
                    picture,
                    wishes,
                    seen,
                )
            };
        }
        match self {
            Tab::Dataflows => of!(dataflows),
            Tab::Nodes => of!(nodes),
            Tab::Groups => of!(groups),
            Tab::Edges => of!(edges),
            Tab::Peers => of!(peers),
            Tab::Downloads => of!(downloads),
            Tab::Actors => of!(actors),
            Tab::Pool => of!(pool),
        }
    }
}

fn of<F>(columns: &[super::column::Column<F>]) -> Vec<Heading> {
    columns.iter().map(|column| column.heading).collect()
}

/// The rows that each runtime that has answered gives, each with two numbers that tell it from that runtime's others.
pub(super) fn rows<'a, F>(
    picture: &'a Picture,
    mut of: impl FnMut(&'a crate::top::figures::Answer) -> Vec<((u64, u64), &'a F)>,
) -> Vec<Row<'a, F>> {
    let mut rows = Vec::new();
    for runtime in &picture.runtimes {
        let Some(answer) = &runtime.answer else {
            continue;
        };
        rows.extend(of(answer).into_iter().map(|(numbers, of)| Row {
            id: RowId {
                runtime: runtime.number,
                numbers,
            },
            runtime,
            of,
        }));
    }
    rows
}

/// Rows of which no name is a number: they are told apart by their places.
pub(super) fn placed<F>(rows: &[F]) -> Vec<((u64, u64), &F)> {
    (0..).map(|place| (place, 0)).zip(rows).collect()
}

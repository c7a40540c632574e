//! The pointers into a body that conditions ask for, as a tree.

use std::rc::Rc;

use crate::claim_path::ClaimPath;
use crate::target::fold_case;
use portcullis_wire::json::array_index;
use portcullis_wire::sort;

/// Where values stand that are asked for.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<TreeNode>,
    /// In order.
    pub(super) pointers: Rc<[ClaimPath]>,
}

/// A value on the way.
#[derive(Debug, Default)]
pub(super) struct TreeNode {
    /// Which pointer leads here.
    pub(super) slot: Option<usize>,
    /// What is asked for in it: names, folded and as they are, in order, each with its node.
    children: Vec<(String, String, usize)>,
    /// Those that may be places in a list, in order.
    items: Vec<(usize, usize)>,
}

/// What a name is to a value on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// That of this node.
    Is(usize),
    /// Some services take it for that.
    IsLike(usize),
}

impl Tree {
    pub(super) fn of(mut pointers: Vec<ClaimPath>) -> Self {
        sort::sort(&mut pointers, Ord::cmp);
        pointers.dedup();
        let mut tree = Self {
            nodes: vec![TreeNode::default()],
            pointers: pointers.into(),
        };
        for (slot, pointer) in Rc::clone(&tree.pointers).iter().enumerate() {
            let mut at = 0;
            for token in pointer.tokens() {
                at = tree.child(at, token);
            }
            if let Some(node) = tree.nodes.get_mut(at) {
                node.slot = Some(slot);
            }
        }
        for node in &mut tree.nodes {
            sort::sort(&mut node.children, Ord::cmp);
            sort::sort(&mut node.items, Ord::cmp);
        }
        tree
    }

    fn child(&mut self, at: usize, token: &str) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return 0;
        };
        let mut children = node.children.iter();
        if let Some((.., known)) = children.find(|(_, name, _)| name == token) {
            return *known;
        }
        node.children
            .push((fold_case(token), token.to_owned(), new));
        if let Some(index) = array_index(token) {
            node.items.push((index, new));
        }
        self.nodes.push(TreeNode::default());
        new
    }

    pub(super) fn node(&self, at: usize) -> Option<&TreeNode> {
        self.nodes.get(at)
    }

    /// What is asked for in that value and has that name, or nearly.
    pub(super) fn named(&self, at: usize, name: &str) -> impl Iterator<Item = Named> {
        let children = self
            .node(at)
            .map_or(&[][..], |node| node.children.as_slice());
        let folded = match children {
            [] => String::new(),
            _ => fold_case(name),
        };
        let first = children.partition_point(|(each, ..)| *each < folded);
        let alike = children.get(first..).unwrap_or_default().iter();
        let alike = alike.take_while(move |(each, ..)| *each == folded);
        alike.map(move |(_, each, node)| match each == name {
            true => Named::Is(*node),
            false => Named::IsLike(*node),
        })
    }

    /// What is asked for in that value and has that place in it, where it is a list.
    pub(super) fn item(&self, at: usize, index: usize) -> Option<usize> {
        let items = &self.node(at)?.items;
        let found = items.binary_search_by(|(each, _)| each.cmp(&index)).ok();
        found
            .and_then(|found| items.get(found))
            .map(|(_, node)| *node)
    }

    /// What is asked for in that value that no list has.
    pub(super) fn members_alone(&self, at: usize) -> impl Iterator<Item = usize> {
        let children = self
            .node(at)
            .map_or(&[][..], |node| node.children.as_slice());
        let names = children.iter();
        let names = names.filter(|(_, name, _)| array_index(name).is_none());
        names.map(|(.., node)| *node)
    }

    /// The slots of that value and of all in it.
    pub(super) fn slots_below(&self, at: usize) -> Vec<usize> {
        let (mut slots, mut left) = (Vec::new(), vec![at]);
        while let Some(node) = left.pop().and_then(|at| self.node(at)) {
            slots.extend(node.slot);
            left.extend(node.children.iter().map(|(.., child)| *child));
        }
        slots
    }

    /// The same without the value itself.
    pub(super) fn slots_within(&self, at: usize) -> Vec<usize> {
        let children = self
            .node(at)
            .map_or(&[][..], |node| node.children.as_slice());
        let within = children.iter().map(|(.., child)| self.slots_below(*child));
        within.flatten().collect()
    }
}

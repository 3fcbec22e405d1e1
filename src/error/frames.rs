//! [`Frames`]: the stack of a task that ended with its worker, and how it becomes a text.

use std::fmt;
#[cfg(feature = "process")]
use std::fmt::Write as _;
use std::sync::OnceLock;

/// A stack, the innermost frame first. Names are put to it when somebody asks for the text: that reads the program's debug
/// information, for which no thread of a pool has time.
pub(crate) struct Frames {
    #[cfg(feature = "process")]
    frames: Vec<Frame>,
    /// What is to be said before them.
    #[cfg(feature = "process")]
    head: &'static str,
    /// And behind them.
    #[cfg(feature = "process")]
    tail: &'static str,
    text: OnceLock<String>,
}

/// One of them.
#[cfg(feature = "process")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Where its code lies in this process, if it is here as well.
    pub(crate) address: Option<usize>,
    /// It is of the main executable.
    pub(crate) is_program: bool,
    /// What it is without a name.
    pub(crate) place: String,
}

impl Frames {
    /// A stack that is a text already.
    pub(crate) fn of_text(text: String) -> Self {
        Frames {
            #[cfg(feature = "process")]
            frames: Vec::new(),
            #[cfg(feature = "process")]
            head: "",
            #[cfg(feature = "process")]
            tail: "",
            text: OnceLock::from(text),
        }
    }

    /// A stack that is still to be given names.
    #[cfg(feature = "process")]
    pub(crate) fn new(frames: Vec<Frame>, head: &'static str, tail: &'static str) -> Self {
        Frames { frames, head, tail, text: OnceLock::new() }
    }

    /// The text: made by the first who asks.
    pub(crate) fn text(&self) -> &str {
        #[cfg(feature = "process")]
        return self.text.get_or_init(|| self.write());
        #[cfg(not(feature = "process"))]
        self.text.get().map_or("", String::as_str)
    }
}

/// Without the text, which is long, and costs more than anybody expects of `{:?}`.
impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").finish_non_exhaustive()
    }
}

/// A function of a frame. Of calls that the compiler has inlined, one frame has several.
#[cfg(feature = "process")]
struct Function {
    name: String,
    /// `file:line:column`, as far as it is known.
    place: Option<String>,
}

#[cfg(feature = "process")]
impl Frames {
    fn write(&self) -> String {
        /// What can be done about frames without names.
        const NAMELESS: &str = "      (the program has no symbols: these are distances from its beginning, as `addr2line` takes \
                                them with a build that was not stripped)\n";
        let named: Vec<(&Frame, Vec<Function>)> =
            self.frames.iter().enumerate().map(|(at, frame)| (frame, functions(frame, at == 0))).collect();
        #[cfg(feature = "backtrace")]
        // What was read of debug information may be many megabytes.
        backtrace::clear_symbol_cache();
        let is_nameless = named.iter().any(|(frame, _)| frame.is_program)
            && named.iter().all(|(frame, names)| !frame.is_program || names.is_empty());
        let mut text = String::from(self.head);
        let mut same = 0_u32;
        for (number, (frame, functions)) in named.iter().enumerate() {
            // Of a call that comes again and again two are shown.
            let is_same = |other: Option<&(&Frame, _)>| other.is_some_and(|(other, _)| *other == *frame);
            if number > 1 && is_same(named.get(number - 1)) && is_same(named.get(number - 2)) {
                same += 1;
                if !is_same(named.get(number + 1)) {
                    let _ = writeln!(text, "      (and {same} more of the same)");
                    same = 0;
                }
                continue;
            }
            let mut before = format!("{number:4}: ");
            if functions.is_empty() {
                let _ = writeln!(text, "{before}{}", frame.place);
            }
            for function in functions {
                let _ = writeln!(text, "{before}{}", function.name);
                if let Some(place) = &function.place {
                    let _ = writeln!(text, "             at {place}");
                }
                before = " ".repeat(before.len());
            }
        }
        text.push_str(self.tail);
        if is_nameless {
            text.push_str(NAMELESS);
        }
        text
    }
}

/// The names of one frame, the innermost first.
#[cfg(all(feature = "process", feature = "backtrace"))]
fn functions(frame: &Frame, is_first: bool) -> Vec<Function> {
    let Some(address) = frame.address else { return Vec::new() };
    // The first is where it was. The others are where calls return to, so the call stands just before: that is what `resolve`
    // takes any address for.
    let address = address.wrapping_add(usize::from(is_first));
    let mut functions = Vec::new();
    let found = |symbol: &backtrace::Symbol| {
        let Some(name) = symbol.name() else { return };
        let place = symbol.filename().zip(symbol.lineno()).map(|(file, line)| match symbol.colno() {
            Some(column) => format!("{}:{line}:{column}", file.display()),
            None => format!("{}:{line}", file.display()),
        });
        functions.push(Function { name: format!("{name:#}"), place });
    };
    // The address is only looked up in what is known of this process; nothing is read there.
    backtrace::resolve(std::ptr::without_provenance_mut(address), found);
    functions
}

#[cfg(all(feature = "process", not(feature = "backtrace")))]
fn functions(_: &Frame, _: bool) -> Vec<Function> {
    Vec::new()
}

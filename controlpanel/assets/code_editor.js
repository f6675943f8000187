// Puts a CodeMirror in front of each textarea within [data-code-editor]. The textarea stays what the form sends: it
// holds the editor's text after every change, and what is written into it by a script is taken over at its "change".
document.addEventListener("DOMContentLoaded", () => {
  const LARGEST_FILE = 1024 * 1024;
  const cm = window.CodeMirror;
  const languages = { python: cm.pythonLanguage, json: cm.jsonLanguage };

  const replaceText = (view, text) => {
    if (view.state.doc.toString() !== text) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  };

  const describe = (textarea, keys) => {
    const label = document.querySelector(`label[for="${textarea.id}"]`);
    const described = [textarea.getAttribute("aria-describedby"), keys?.id].filter(Boolean).join(" ");
    return {
      "aria-label": label?.textContent.trim() || textarea.getAttribute("aria-label") || textarea.name,
      ...(described && { "aria-describedby": described }),
      ...(textarea.readOnly && { tabindex: "0", "aria-readonly": "true" }),
    };
  };

  const mark = (box, view) => {
    const marks = JSON.parse(box.querySelector("script[type='application/json']")?.textContent || "[]");
    const diagnostics = marks
      .filter(([number]) => number <= view.state.doc.lines)
      .map(([number, message]) => {
        const { from, to } = view.state.doc.line(number);
        return { from, to, severity: "error", message };
      });
    if (!diagnostics.length) return;
    view.dispatch(cm.setDiagnostics(view.state, diagnostics));
    view.dispatch({ effects: cm.EditorView.scrollIntoView(diagnostics[0].from, { y: "center" }) });
  };

  const readFiles = (chooser, view) => {
    const input = chooser.querySelector("input");
    const status = chooser.querySelector("[role=status]");
    chooser.hidden = false;
    // On its way down to the input: Unfold's own listener there expects another input beside it.
    const read = async (event) => {
      event.stopPropagation();
      const [file] = input.files;
      input.value = ""; // so that the same file can be chosen again
      if (!file) return;
      if (!file.name.toLowerCase().endsWith(input.accept)) {
        status.textContent = `${file.name} was not loaded: its name must end with ${input.accept}.`;
        return;
      }
      if (file.size > LARGEST_FILE) {
        status.textContent = `${file.name} was not loaded: it is larger than 1 MB.`;
        return;
      }
      try {
        const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
        replaceText(view, text.replace(/\r\n?/g, "\n"));
        status.textContent = `${file.name} is loaded but not saved. Press Ctrl+Z (⌘Z) in the editor to undo.`;
      } catch {
        status.textContent = `${file.name} was not loaded: it is not UTF-8 text, or can't be opened.`;
      }
    };
    chooser.addEventListener("change", read, { capture: true });
  };

  for (const box of document.querySelectorAll("[data-code-editor]")) {
    const textarea = box.querySelector("textarea");
    const keys = box.querySelector("[data-keys]");
    const writable = !textarea.readOnly;
    const view = new cm.EditorView({
      doc: textarea.value,
      extensions: [
        cm.lineNumbers(),
        cm.highlightSpecialChars(),
        cm.drawSelection(),
        cm.bracketMatching(),
        cm.highlightSelectionMatches(),
        cm.search({ top: true }),
        cm.syntaxHighlighting(cm.classHighlighter),
        languages[box.dataset.codeEditor],
        cm.EditorView.contentAttributes.of(describe(textarea, keys)),
        cm.keymap.of([...cm.searchKeymap, ...cm.defaultKeymap]),
        ...(writable
          ? [
              cm.history(),
              cm.indentOnInput(),
              cm.indentUnit.of(box.dataset.codeEditor === "python" ? "    " : "  "),
              cm.highlightActiveLine(),
              cm.highlightActiveLineGutter(),
              cm.lintGutter(),
              cm.keymap.of([cm.indentWithTab, ...cm.historyKeymap]),
              cm.EditorView.updateListener.of((update) => {
                if (update.docChanged) textarea.value = update.state.doc.toString();
              }),
            ]
          : [cm.EditorState.readOnly.of(true), cm.EditorView.editable.of(false)]),
      ],
    });
    textarea.hidden = true;
    textarea.before(view.dom);
    document.querySelector(`label[for="${textarea.id}"]`)?.addEventListener("click", () => view.focus());
    textarea.addEventListener("change", () => replaceText(view, textarea.value));
    // A browser that goes back fills the form in again, after this has run.
    window.addEventListener("pageshow", () => replaceText(view, textarea.value));
    if (keys) keys.hidden = false;
    mark(box, view);
    const chooser = box.querySelector("[data-file]");
    if (chooser) readFiles(chooser, view);
  }
});

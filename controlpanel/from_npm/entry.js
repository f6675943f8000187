// What code_editor.js uses of CodeMirror, under one name. `npm run codemirror` makes assets/codemirror/ from it.
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export { jsonLanguage } from "@codemirror/lang-json";
export { pythonLanguage } from "@codemirror/lang-python";
export { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
export { lintGutter, setDiagnostics } from "@codemirror/lint";
export { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
export { EditorState } from "@codemirror/state";
export {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
export { classHighlighter } from "@lezer/highlight";

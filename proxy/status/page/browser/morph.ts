/**
 * Brings what is shown in line with fresh markup and touches only what differs: a selection, the focus and an opened
 * `<details>` survive the next second.
 * @module
 */
import type { PageElement, PageNode } from './dom.ts';

const ELEMENT = 1;

/** Makes the children of `shown` equal to those of `fresh`, which is used up. */
export function morph(shown: PageNode, fresh: PageNode): void {
  const wanted = Array.from(fresh.childNodes);
  wanted.forEach((node, i) => {
    const old = shown.childNodes[i];
    if (old === undefined) shown.appendChild(node);
    else morphNode(shown, old, node);
  });
  for (let extra = shown.childNodes[wanted.length]; extra !== undefined; extra = shown.childNodes[wanted.length]) {
    shown.removeChild(extra);
  }
}

function morphNode(parent: PageNode, old: PageNode, fresh: PageNode): void {
  if (old.nodeName !== fresh.nodeName) {
    parent.replaceChild(fresh, old);
  } else if (old.nodeType === ELEMENT) {
    morphAttributes(old as PageElement, fresh as PageElement);
    morph(old, fresh);
  } else if (old.nodeValue !== fresh.nodeValue) {
    old.nodeValue = fresh.nodeValue;
  }
}

function morphAttributes(old: PageElement, fresh: PageElement): void {
  for (const { name, value } of Array.from(fresh.attributes)) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of Array.from(old.attributes)) {
    // Whether a <details> is open is the reader's choice.
    if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  }
}

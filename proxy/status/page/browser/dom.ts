/**
 * The few members of the browser's document that the page uses. The program is compiled without the DOM library: its
 * globals would be offered to the server's code too.
 * @module
 */
export interface PageNode {
  readonly nodeType: number;
  readonly nodeName: string;
  nodeValue: string | null;
  readonly childNodes: ArrayLike<PageNode>;
  replaceChild(fresh: PageNode, old: PageNode): void;
  appendChild(node: PageNode): void;
  removeChild(node: PageNode): void;
}

export interface PageElement extends PageNode {
  hidden: boolean;
  textContent: string | null;
  readonly attributes: ArrayLike<{ readonly name: string; readonly value: string }>;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
}

export interface PageDocument {
  title: string;
  getElementById(id: string): PageElement | null;
}

export interface PageTemplate extends PageElement {
  innerHTML: string;
  readonly content: PageNode;
}

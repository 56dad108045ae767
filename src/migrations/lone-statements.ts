import { isConcurrentReindex } from './judge-statement.ts';
import { asNode, asNodes, asText, unwrap, walk, wordsOf } from './parse-tree.ts';
import type { Statement } from './statements.ts';

const timeouts: readonly (string | null)[] = ['lock_timeout', 'statement_timeout'];

/**
 * CREATE, DROP and REINDEX of indexes CONCURRENTLY wait for other transactions without making anybody wait behind them.
 * DETACH PARTITION CONCURRENTLY is none of them: in the end it locks readers out.
 */
export function worksOnIndexConcurrently({ type, node }: Statement): boolean {
  if (type === 'IndexStmt') return node.concurrent === true;
  if (type === 'DropStmt') return node.removeType === 'OBJECT_INDEX' && node.concurrent === true;
  return type === 'ReindexStmt' && isConcurrentReindex(node);
}

/** SET, RESET and set_config of one of the timeouts, for what comes after. SET LOCAL ends with its statement. */
export function setsTimeouts({ type, node }: Statement): boolean {
  if (type === 'VariableSetStmt') {
    return node.kind === 'VAR_RESET_ALL' || (node.is_local !== true && timeouts.includes(asText(node.name)));
  }
  let found = false;
  if (type === 'SelectStmt') {
    walk(node, (inner, _key, wrapper) => {
      if (wrapper === 'FuncCall' && wordsOf(inner.funcname).at(-1) === 'set_config') {
        const [name] = asNodes(inner.args);
        found ||= timeouts.includes(asText(asNode(unwrap(name, 'A_Const').sval).sval));
      }
    });
  }
  return found;
}

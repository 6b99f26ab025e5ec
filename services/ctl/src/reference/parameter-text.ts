import type { Argument, Option } from 'commander';

/**
 * What an option is, which values it takes, and what holds unless it is given: the same in help, manuals and the
 * reference.
 */
export function optionText({ description, argChoices, defaultValue, ...option }: Option): string {
  const needed = option.mandatory ? 'must be given' : '';
  return described(description, argChoices, option.defaultValueDescription ?? defaultText(defaultValue), needed);
}

/** The same of an argument. */
export function argumentText({ description, argChoices, defaultValue, defaultValueDescription }: Argument): string {
  return described(description, argChoices, defaultValueDescription ?? defaultText(defaultValue), '');
}

function described(text: string, choices: readonly string[] | undefined, otherwise: string, needed: string): string {
  const more = [choices?.join(', ') ?? '', otherwise === '' ? '' : `default: ${otherwise}`, needed];
  const said = more.filter((part) => part !== '').join('; ');
  return said === '' ? text : text === '' ? `(${said})` : `${text} (${said})`;
}

/** A default that is empty, or that of a flag, is not mentioned: the text says what happens when it is given. */
function defaultText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

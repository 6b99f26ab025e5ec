import type { Argument, Option } from 'commander';

/** An option's description with its choices and its default: one text for help, manuals and the reference. */
export function optionText({ description, argChoices, defaultValue, ...option }: Option): string {
  const needed = option.mandatory ? 'must be given' : '';
  return described(description, argChoices, option.defaultValueDescription ?? defaultText(defaultValue), needed);
}

/** An argument's description with its choices and its default. */
export function argumentText({ description, argChoices, defaultValue, defaultValueDescription }: Argument): string {
  return described(description, argChoices, defaultValueDescription ?? defaultText(defaultValue), '');
}

function described(text: string, choices: readonly string[] | undefined, otherwise: string, needed: string): string {
  const more = [choices?.join(', ') ?? '', otherwise === '' ? '' : `default: ${otherwise}`, needed];
  const said = more.filter((part) => part !== '').join('; ');
  return said === '' ? text : text === '' ? `(${said})` : `${text} (${said})`;
}

/** An empty default, or that of a flag, is not mentioned: the description says what the option changes. */
function defaultText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

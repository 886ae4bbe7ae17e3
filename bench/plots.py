# SPDX-License-Identifier: GPL-3.0-or-later
"""plots.py - a result as a PNG: bars with every round as a dot, lines over a growing number, or what an attack did to whom."""
import textwrap

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

COLORS = {'ringress': '#1b6ca8', 'nginx': '#3a9b5c', 'haproxy': '#c7782a'}


def color(proxy):
    return COLORS.get(proxy.split('-')[0].split(',')[0], '#777777')


def draw(result, path):
    if result['work'] == 'isolation':
        draw_isolation(result, path)
        return
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout='constrained')
    draw_body = {'drop-latency': draw_lines, 'soak': draw_soak}.get(result['work'], draw_compared if 'figures' in result else draw_bars)
    draw_body(result, axes)
    ok = {True: 'good', False: 'missed', None: 'not decided'}[result['verdict']['ok']]
    says = textwrap.fill(f"{ok}: {result['verdict']['says']}", 88)
    axes.set_title(f"{result['title']}\n{says}", fontsize=10)
    axes.grid(axis='y', alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_bars(result, axes):
    series = result['series']
    names = [s['proxy'].replace('-', '\n', 1).replace(', ', '\n') for s in series]
    bars = axes.bar(names, [s['median'] for s in series], color=[color(s['proxy']) for s in series], width=0.6)
    axes.bar_label(bars, fmt='%.2f', padding=3, fontsize=9)
    for i, s in enumerate(series):
        axes.plot([i] * len(s['rounds']), [r['value'] for r in s['rounds']], 'k.', alpha=0.5, markersize=5)
    if result['unit'].startswith('KiB'):
        axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1)
    axes.set_ylabel(f"CPU of the proxy, {result['unit']}" if 's/' in result['unit'] else result['unit'])
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.08)
    axes.tick_params(axis='x', labelsize=8)


def draw_compared(result, axes):
    """For each load: what the part costs, and what the measure makes of no difference, each with its interval and the starts as dots."""
    figures = result['figures']
    for place, (key, tint, label) in enumerate((('cost', COLORS['ringress'], 'with / without'), ('again', '#777777', 'with / with: no difference'))):
        for i, one in enumerate(figures.values()):
            c, x = one[key], i + (place - 0.5) * 0.3
            axes.errorbar(x, c['ratio'], yerr=[[c['ratio'] - c['least']], [c['most'] - c['ratio']]], fmt='o', color=tint, capsize=6,
                          label=label if i == 0 else None)
            axes.plot([x + 0.07] * len(c['starts']), c['starts'], '.', color=tint, alpha=0.4, markersize=5)
            axes.annotate(f"{c['ratio']:.3f}", (x, c['ratio']), xytext=(-7, 0), textcoords='offset points', ha='right', va='center', fontsize=8)
    axes.axhline(1, color='#999999', linewidth=1)
    axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1, label='bar')
    axes.set_xticks(range(len(figures)), figures)
    axes.set_xlim(-0.6, len(figures) - 0.4)
    axes.set_ylabel('CPU per request, ratio; 95 % interval')
    axes.legend(fontsize=8)


def draw_lines(result, axes):
    for proxy in dict.fromkeys(s['proxy'] for s in result['series']):
        mine = [s for s in result['series'] if s['proxy'] == proxy]
        others = [s['others'] for s in mine]
        axes.plot(others, [s['median'] for s in mine], 'o-', color=color(proxy), label=proxy)
        axes.fill_between(others, [min(r['value'] for r in s['rounds']) for s in mine],
                          [s['worst'] for s in mine], color=color(proxy), alpha=0.15)
    axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1, label='bar')
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xticks(others, [f'{n:,}' for n in others])
    axes.minorticks_off()
    axes.set_xlabel('other tenants loaded')
    axes.set_ylabel('ms from the write to the first new answer\n(band: least to most)')
    axes.legend()


def draw_soak(result, axes):
    points = result['points']
    minutes = [p['minute'] for p in points]
    axes.plot(minutes, [p['rss_mib'] for p in points], color=COLORS['ringress'], label='RSS, MiB')
    axes.plot(minutes, [p['buffers_mib'] for p in points], color=COLORS['nginx'], linewidth=1, label='of it buffers')
    axes.plot(minutes, [p['malloc_used_mib'] for p in points], color='#777777', linewidth=1, label='of it malloc, in use')
    rests = result['at_rest']
    axes.plot([minutes[0], minutes[-1]], [rests['before']['rss_mib'], rests['after']['rss_mib']], 'k^', label='RSS at rest')
    axes.set_xlabel('minutes')
    axes.set_ylabel('MiB')
    axes.set_ylim(bottom=0)
    fds = axes.twinx()
    fds.plot(minutes, [p['fds'] for p in points], color=COLORS['haproxy'], alpha=0.7, label='descriptors')
    fds.set_ylabel('descriptors')
    fds.set_ylim(bottom=0)
    axes.legend(*[a + b for a, b in zip(axes.get_legend_handles_labels(), fds.get_legend_handles_labels())],
                loc='upper center', bbox_to_anchor=(0.5, -0.14), ncol=5, fontsize=8)


def draw_isolation(result, path):
    """For each attack: how many times their calm p99 the victims waited, over HTTP and over TLS, and how many of them in vain."""
    figure, (plain, tls, failed) = plt.subplots(3, 1, figsize=(11, 9), sharex=True, layout='constrained', height_ratios=(3, 3, 2))
    attacks = list(dict.fromkeys(s['attack'] for s in result['series']))
    proxies = list(dict.fromkeys(s['proxy'].split(',')[0] for s in result['series']))
    for axes, stream, title in ((plain, 'http', 'HTTP'), (tls, 'tls', 'TLS')):
        draw_ratios(axes, result, attacks, proxies, stream)
        axes.axhline(result['verdict']['max'], color='#b03030', linestyle='--', linewidth=1, label='bar')
        axes.set_yscale('log')
        axes.set_ylim(0.5, 3000)  # a wait of 1 s is a thousand times a calm p99 of 1 ms
        axes.set_ylabel(f'{title}: p99 under attack / calm')
        axes.grid(axis='y', alpha=0.3)
    for i, proxy in enumerate(proxies):
        mine = {s['attack']: s for s in result['series'] if s['proxy'].split(',')[0] == proxy}
        places = [j + (i - (len(proxies) - 1) / 2) * 0.27 for j in range(len(attacks))]
        bars = failed.bar(places, [100 * (1 - mine[a]['success']) for a in attacks], width=0.25, color=color(proxy))
        failed.bar_label(bars, [f'{v:.0f}' if (v := 100 * (1 - mine[a]['success'])) >= 1 else '' for a in attacks], fontsize=7)
    failed.set_ylabel('% of requests failed')
    failed.set_ylim(0, 110)
    failed.grid(axis='y', alpha=0.3)
    failed.set_xticks(range(len(attacks)), attacks)
    plain.legend(ncol=len(proxies) + 1, fontsize=8, loc='upper right')
    ok = {True: 'good', False: 'missed', None: ''}[result['verdict']['ok']]
    plain.set_title(textwrap.fill(f"{result['title']}; a failed request counts as 1 s", 130) + '\n'
                    + textwrap.fill(textwrap.shorten(f"{ok}: {result['verdict']['says']}", 290, placeholder=' …'), 150), fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_ratios(axes, result, attacks, proxies, stream):
    key = {'http': 'median', 'tls': 'median_tls'}[stream]
    for i, proxy in enumerate(proxies):
        mine = {s['attack']: s for s in result['series'] if s['proxy'].split(',')[0] == proxy}
        places = [j + (i - (len(proxies) - 1) / 2) * 0.27 for j in range(len(attacks))]
        bars = axes.bar(places, [mine[a][key] for a in attacks], width=0.25, color=color(proxy), label=proxy)
        axes.bar_label(bars, [f'{mine[a][key]:.1f}' if mine[a][key] < 100 else f'{mine[a][key]:.0f}' for a in attacks], fontsize=7, padding=2)
        for place, attack in zip(places, attacks):
            values = [r[stream]['vdr'] for r in mine[attack]['rounds']]
            axes.plot([place] * len(values), values, 'k.', alpha=0.5, markersize=4)
